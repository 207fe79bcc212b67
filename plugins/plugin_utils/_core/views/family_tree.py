# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tree of all images of a place: which image is based on which.

An image descends from a second image if its layers begin with all layers of the second. Names do not count, because
they can be moved. Some images have the same layers and differ only in their configuration. Among these, an image
descends from the one that its label names as the parent. Without such a label, it descends from one whose whole
history its own history begins with. Labels are inherited, so they only decide between images with the same layers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from ..chain import tags
from ..chain.names import familiar_name
from ..errors import DamagedError, NotFoundError
from ..image import labels
from ..state.journal import chains
from ..state.status import Followed, read_status
from ..text import short
from ..transports import image
from ..transports.image_document import timestamp
from ..transports.transport import HeldImage


class FamilyNode(msgspec.Struct, eq=False):
    """An image with its parent and children."""

    #: ``None`` for a sequence of layers that several images begin with, but that is not an image itself.
    held: HeldImage | None
    #: Number of layers.
    depth: int
    parent: FamilyNode | None = None
    children: list[FamilyNode] = msgspec.field(default_factory=list)

    @property
    def shared(self) -> int:
        """Bytes of the nearest ancestor that is an image; 0 if there is none."""
        ancestor = self.parent
        while ancestor is not None and ancestor.held is None:
            ancestor = ancestor.parent
        return ancestor.held.size if ancestor and ancestor.held else 0

    @property
    def own_layers(self) -> int:
        """Number of layers that its parent does not have."""
        return self.depth - (self.parent.depth if self.parent else 0)


class _Prefix(msgspec.Struct):
    """A sequence of layers that images begin with; a node of a trie."""

    depth: int
    #: The images that consist of exactly these layers.
    images: list[HeldImage] = msgspec.field(default_factory=list)
    #: Longer sequences, by their next layer.
    longer: dict[str, _Prefix] = msgspec.field(default_factory=dict)


def families(images: Iterable[HeldImage]) -> list[FamilyNode]:
    """Connect images with their parents and children.

    Returns:
        The nodes without a parent. Images without layers have neither a parent nor children.
    """
    root = _Prefix(0)
    without_layers = []
    for held in images:
        if not held.document.layers:
            without_layers.append(FamilyNode(held, 0))
            continue
        prefix = root
        for layer in held.document.layers:
            prefix = prefix.longer.setdefault(layer, _Prefix(prefix.depth + 1))
        prefix.images.append(held)
    return without_layers + _connect(root)


def _connect(root: _Prefix) -> list[FamilyNode]:
    roots: list[FamilyNode] = []
    todo: list[tuple[_Prefix, list[FamilyNode]]] = [(each, []) for each in root.longer.values()]
    while todo:
        prefix, nodes = todo.pop()
        if prefix.images:
            nodes = _same_layers(prefix, nodes)
        elif len(prefix.longer) > 1:
            shared_layers = FamilyNode(None, prefix.depth)
            _attach(shared_layers, _choose_parent(shared_layers, nodes))
            nodes = [shared_layers]
        roots += [node for node in nodes if node.parent is None and node.depth == prefix.depth]
        todo += [(each, nodes) for each in prefix.longer.values()]
    return roots


def _same_layers(prefix: _Prefix, lower: list[FamilyNode]) -> list[FamilyNode]:
    """Make the nodes of images with the same layers, and attach each of them to its parent."""
    nodes: list[FamilyNode] = []
    for held in sorted(prefix.images, key=_age):
        node = FamilyNode(held, prefix.depth)
        ancestors = [each for each in nodes if _continues(held, each)]
        _attach(node, ancestors[-1] if ancestors else _choose_parent(node, lower))
        nodes.append(node)
    return nodes


def _age(held: HeldImage) -> tuple[int, int, str]:
    return len(held.document.steps), held.document.created, held.document.id


def _choose_parent(node: FamilyNode, candidates: list[FamilyNode]) -> FamilyNode | None:
    """Choose a parent among the nodes that share the most layers.

    If possible, it is the one that the node's label names, or one whose history the node continues.
    """
    if not candidates or node.held is None:
        return candidates[0] if candidates else None
    named = node.held.document.labels.get(labels.PARENT)
    if named and (by_label := [each for each in candidates if each.held and each.held.document.id == named]):
        return by_label[0]
    by_history = [each for each in candidates if _continues(node.held, each)]
    return by_history[-1] if by_history else candidates[0]


def _continues(held: HeldImage, node: FamilyNode) -> bool:
    """Return whether an image's history begins with the whole history of a node, and is longer."""
    steps, others = held.document.steps, node.held.document.steps if node.held else ()
    return 0 < len(others) < len(steps) and all(
        (step.created, step.created_by) == (other.created, other.created_by)
        for step, other in zip(steps, others, strict=False)
    )


def _attach(node: FamilyNode, parent_node: FamilyNode | None) -> None:
    node.parent = parent_node
    if parent_node is not None:
        parent_node.children.append(node)


def fold(roots: Iterable[FamilyNode]) -> list[FamilyNode]:
    """Leave out images without a name, and connect their children with their parents.

    A node without a name stays if at least two of its branches contain named images.

    Returns:
        The remaining nodes without a parent. The function changes the nodes themselves.
    """
    kept: list[FamilyNode] = []
    for root in roots:
        kept += _folded(root)
    for node in kept:
        node.parent = None
    return kept


def _folded(root: FamilyNode) -> list[FamilyNode]:
    order, todo = [], [root]
    while todo:
        node = todo.pop()
        order.append(node)
        todo += node.children
    remaining: dict[FamilyNode, list[FamilyNode]] = {}  # by node: itself, or its nearest remaining descendants
    for node in reversed(order):
        children = [each for child in node.children for each in remaining.pop(child)]
        named = node.held is not None and bool(node.held.document.names)
        if named or len(children) > 1:
            node.children = children
            for child in children:
                child.parent = node
            children = [node]
        remaining[node] = children
    return remaining[root]


#: Hexadecimal digits that are sufficient to name an image by its ID.
_SHORTEST_ID = 4


class AncestorTier(msgspec.Struct, frozen=True):
    """A tier that an image is based on."""

    tier: str
    team: str | None


class Upstream(msgspec.Struct, frozen=True):
    """Where an image of another team comes from, which a chain of this machine follows."""

    #: Host and repository, and the tag: ``registry.example.org/operations/corebuild:stable``.
    reference: str
    #: Digest of its manifest.
    digest: str
    #: The tiers that it is based on, the nearest first, from its history.
    ancestors: list[AncestorTier]


class Relative(msgspec.Struct, frozen=True):
    """An image in the tree; or a sequence of layers that several images begin with, but that is not an image."""

    #: Position in the list, from 0.
    number: int
    #: Number of its parent; ``null`` if it has no parent.
    parent: int | None
    #: ``sha256:…``; ``null`` for shared layers that are not an image.
    id: str | None
    names: list[str]
    #: Tier and team from the last entry of its history. Labels do not count, because images inherit them.
    tier: str | None
    team: str | None
    #: RFC 3339 ``created`` time of the image; for a tier, its source date.
    created: str | None
    #: Number of its layers.
    layers: int
    #: Number of layers that its parent does not have; 0 if the two differ only in their configuration.
    own_layers: int
    #: Bytes of all layers.
    size: int | None
    #: Bytes of the layers that its nearest ancestor does not have.
    own: int | None
    #: Bytes of its nearest ancestor.
    shared: int | None
    #: RFC 3339 time at which it was built; ``null`` if it is not known.
    built: str | None = None
    #: ``null`` if no chain of this machine follows it.
    follows: Upstream | None = None

    @property
    def called(self) -> str:
        """Name for output: its names without reserved tags, otherwise any name, otherwise the short ID."""
        if self.id is None:
            return "(shared layers)"
        plain_names = [name for name in self.names if not tags.is_reserved(name.rpartition(":")[2])]
        return ", ".join(plain_names or self.names[-1:]) or short(self.id)


class Tree(msgspec.Struct, frozen=True):
    """The answer to ``tierwright tree``."""

    #: Each image after its parent; children in the order of their names.
    images: list[Relative]
    #: Number of images without a name that are left out.
    hidden: int


def build_tree(
    held: list[HeldImage],
    wanted: Iterable[str] = (),
    *,
    up: bool = True,
    down: bool = True,
    nameless: bool = False,
    followed: Mapping[str, Followed] = MappingProxyType({}),
) -> Tree:
    """Build the tree.

    Args:
        held: All images of a place.
        wanted: Names, or beginnings of IDs, of the images whose ancestors and descendants are shown. If empty, all
            images are shown.
        up: Whether to show the ancestors of these images.
        down: Whether to show their descendants.
        nameless: Whether to show images without a name too.
        followed: Where the images that chains of this machine follow come from, by ID.

    Raises:
        NotFoundError: There is no image of a wanted name.
    """
    roots = families(held)
    chosen = _chosen(roots, list(wanted), up=up, down=down)
    if not nameless:
        roots = fold(roots)
    numbers: dict[FamilyNode, int] = {}
    images: list[Relative] = []
    for node in _walk(roots):
        if chosen is None or node in chosen:
            numbers[node] = len(images)
            parent = numbers.get(node.parent) if node.parent else None
            image = _relative(node, len(images), parent)
            images.append(replace(image, follows=_upstream(node, followed.get(image.id or ""))))
    shown = {each.id for each in images}
    hidden = sum(not each.document.names and each.document.id not in shown for each in held)
    return Tree(images, 0 if chosen is not None else hidden)


def read_followed() -> dict[str, Followed]:
    """Return where the images that the chains of this machine follow come from, by ID; damaged statuses are ignored."""
    followed: dict[str, Followed] = {}
    for chain in chains():
        with contextlib.suppress(DamagedError):
            followed |= {each.follows.image: each.follows for each in read_status(chain).values() if each.follows}
    return followed


def _upstream(node: FamilyNode, followed: Followed | None) -> Upstream | None:
    if followed is None or node.held is None:
        return None
    steps = [step for step in reversed(node.held.document.steps) if step.tier]
    ancestors = dict.fromkeys((str(step.tier), step.team) for step in steps)
    return Upstream(followed.reference, followed.digest, [AncestorTier(*owner) for owner in list(ancestors)[1:]])


def is_named(held: HeldImage, wanted: str) -> bool:
    """Return whether a name, a name without tag, or the beginning of an ID is that of the image."""
    name, start = familiar_name(wanted), wanted.removeprefix("sha256:")
    names = {familiar_name(image_name) for image_name in held.document.names}
    by_id = len(start) >= _SHORTEST_ID and held.document.id.removeprefix("sha256:").startswith(start)
    return bool({name, f"{name}:latest"} & names) or by_id


def _chosen(roots: list[FamilyNode], wanted: list[str], *, up: bool, down: bool) -> set[FamilyNode] | None:
    if not wanted:
        return None
    chosen: set[FamilyNode] = set()
    for name in wanted:
        matches = [node for node in _walk(roots) if node.held and is_named(node.held, name)]
        if not matches:
            raise NotFoundError(f"there is no image {name!r} in this tree; `tierwright tree --all` lists all images")
        for node in matches:
            chosen |= {node, *(_ancestors(node) if up else ()), *(_walk([node]) if down else ())}
    return chosen


def _ancestors(node: FamilyNode) -> Iterator[FamilyNode]:
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent


def _walk(roots: Iterable[FamilyNode]) -> Iterator[FamilyNode]:
    todo = sorted(roots, key=_order, reverse=True)
    while todo:
        node = todo.pop()
        yield node
        todo += sorted(node.children, key=_order, reverse=True)


def _order(node: FamilyNode) -> tuple[bool, list[str], int, str]:
    if node.held is None:
        return True, [], 0, ""
    document = node.held.document
    return not document.names, sorted(document.names), document.created, document.id


def _relative(node: FamilyNode, number: int, parent: int | None) -> Relative:
    own_layers = node.own_layers
    if node.held is None:
        return Relative(number, parent, None, [], None, None, None, node.depth, own_layers, None, None, None)
    document, size, shared = node.held.document, node.held.size, node.shared
    last = document.steps[-1] if document.steps else None
    return Relative(
        number=number,
        parent=parent,
        id=document.id,
        names=sorted(document.names),
        tier=last.tier if last else None,
        team=last.team if last else None,
        created=timestamp(document.created),
        layers=node.depth,
        own_layers=own_layers,
        size=size,
        own=max(0, size - shared),
        shared=shared,
        built=image.image_build_time(document),
    )
