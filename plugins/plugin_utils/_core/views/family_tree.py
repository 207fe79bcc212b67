# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which image is built on which, as a tree.

Which image stands on which, from their layers alone.

An image descends from another if its layers begin with all of the other's. Names and labels have no say: both can be
moved or inherited. Of images with the same layers, which differ in their configuration only, one descends from another
if its history begins with all of the other's.

The family tree of all images of a place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..chain import tags
from ..chain.names import familiar_name
from ..errors import NotFoundError
from ..text import short
from ..transports import image
from ..transports.image_document import timestamp
from ..transports.transport import Held


@dataclass(slots=True, eq=False)
class FamilyNode:
    """An image in its family."""

    #: ``None`` for layers that several images share and that no image consists of.
    held: Held | None
    #: Number of layers.
    depth: int
    parent: FamilyNode | None = None
    children: list[FamilyNode] = field(default_factory=list)

    @property
    def shared(self) -> int:
        """Bytes of the nearest image that it stands on; 0 where there is none."""
        below = self.parent
        while below is not None and below.held is None:
            below = below.parent
        return below.held.size if below and below.held else 0

    @property
    def own_layers(self) -> int:
        """Number of layers that its parent has not."""
        return self.depth - (self.parent.depth if self.parent else 0)


@dataclass(slots=True)
class _Place:
    """Where a sequence of layers ends."""

    depth: int
    images: list[Held] = field(default_factory=list)
    upon: dict[str, _Place] = field(default_factory=dict)


def families(images: Iterable[Held]) -> list[FamilyNode]:
    """Put images into their families.

    Returns:
        The nodes that stand on nothing. Images without layers stand alone.
    """
    root = _Place(0)
    alone = []
    for held in images:
        if not held.document.layers:
            alone.append(FamilyNode(held, 0))
            continue
        place = root
        for layer in held.document.layers:
            place = place.upon.setdefault(layer, _Place(place.depth + 1))
        place.images.append(held)
    return alone + _grow(root)


def _grow(root: _Place) -> list[FamilyNode]:
    found: list[FamilyNode] = []
    todo: list[tuple[_Place, list[FamilyNode]]] = [(each, []) for each in root.upon.values()]
    while todo:
        place, under = todo.pop()
        if place.images:
            under = _siblings(place, under)
        elif len(place.upon) > 1:
            trunk = FamilyNode(None, place.depth)
            _attach(trunk, _on(trunk, under))
            under = [trunk]
        found += [node for node in under if node.parent is None and node.depth == place.depth]
        todo += [(each, under) for each in place.upon.values()]
    return found


def _siblings(place: _Place, under: list[FamilyNode]) -> list[FamilyNode]:
    """Nodes of the images with one sequence of layers, each attached to what it stands on."""
    made: list[FamilyNode] = []
    for held in sorted(place.images, key=_age):
        node = FamilyNode(held, place.depth)
        ancestors = [each for each in made if _begins(held, each)]
        _attach(node, ancestors[-1] if ancestors else _on(node, under))
        made.append(node)
    return made


def _age(held: Held) -> tuple[int, int, str]:
    return len(held.document.steps), held.document.created, held.document.id


def _on(node: FamilyNode, under: list[FamilyNode]) -> FamilyNode | None:
    """Of the nodes with the longest beginning of a node's layers, the one that it stands on."""
    if not under or node.held is None:
        return under[0] if under else None
    told = [each for each in under if _begins(node.held, each)]
    return told[-1] if told else under[0]


def _begins(held: Held, node: FamilyNode) -> bool:
    steps, others = held.document.steps, node.held.document.steps if node.held else ()
    return 0 < len(others) < len(steps) and all(
        (one.created, one.created_by) == (other.created, other.created_by)
        for one, other in zip(steps, others, strict=False)
    )


def _attach(node: FamilyNode, parent_node: FamilyNode | None) -> None:
    node.parent = parent_node
    if parent_node is not None:
        parent_node.children.append(node)


def fold(roots: Iterable[FamilyNode]) -> list[FamilyNode]:
    """Leave out images without a name: what stands on them stands on what they stood on.

    What at least two named images stand on stays, named or not.

    Returns:
        The nodes that stand on nothing then; the nodes themselves are changed.
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
    standing: dict[FamilyNode, list[FamilyNode]] = {}
    for node in reversed(order):
        above = [each for child in node.children for each in standing.pop(child)]
        named = node.held is not None and bool(node.held.document.names)
        if named or len(above) > 1:
            node.children = above
            for each in above:
                each.parent = node
            above = [node]
        standing[node] = above
    return standing[root]


#: Hexadecimal digits that are enough to name an image by its ID.
_SHORTEST_ID = 4


@dataclass(frozen=True, slots=True)
class Relative:
    """An image in the tree; or layers that several images share, and that no image consists of."""

    #: Position in the list, from 0.
    number: int
    #: Number of what it stands on; ``null`` for nothing.
    parent: int | None
    #: ``sha256:…``; ``null`` for layers that no image consists of.
    id: str | None
    names: list[str]
    #: Tier and team that the last entry of its history names; inherited labels have no say.
    tier: str | None
    team: str | None
    #: RFC 3339 time that the image says; of a tier's, that of its sources.
    created: str | None
    #: Number of its layers.
    layers: int
    #: Of these, what its parent has not; 0 where it differs from it in its configuration only.
    own_layers: int
    #: Bytes of all layers.
    size: int | None
    #: Bytes that the nearest image below it has not.
    own: int | None
    #: Bytes of the nearest image below it.
    shared: int | None
    #: RFC 3339 time at which it was built; ``null`` where that is not known.
    built: str | None = None

    @property
    def called(self) -> str:
        """What people call it: its names, but for those that only say which build it is."""
        if self.id is None:
            return "(shared layers)"
        spoken = [name for name in self.names if not tags.is_reserved(name.rpartition(":")[2])]
        return ", ".join(spoken or self.names[-1:]) or short(self.id)


@dataclass(frozen=True, slots=True)
class Tree:
    """The answer to ``tierwright tree``."""

    #: Each after what it stands on, children in the order of their names.
    images: list[Relative]
    #: Images without a name that are left out.
    hidden: int


def grow(
    held: list[Held], wanted: Iterable[str] = (), *, up: bool = True, down: bool = True, nameless: bool = False
) -> Tree:
    """Make the tree.

    Args:
        held: All images of a place.
        wanted: Names, or beginnings of IDs, of the images whose families are shown; none shows all.
        up: Whether to show what these stand on.
        down: Whether to show what stands on them.
        nameless: Whether images without a name are shown too.

    Raises:
        NotFoundError: There is no such image.
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
            images.append(_relative(node, len(images), numbers.get(node.parent) if node.parent else None))
    shown = {each.id for each in images}
    hidden = sum(not each.document.names and each.document.id not in shown for each in held)
    return Tree(images, 0 if chosen is not None else hidden)


def is_called(held: Held, wanted: str) -> bool:
    """Say whether a name, a name without its tag, or the beginning of an ID is that of an image."""
    name, start = familiar_name(wanted), wanted.removeprefix("sha256:")
    names = {familiar_name(each) for each in held.document.names}
    by_id = len(start) >= _SHORTEST_ID and held.document.id.removeprefix("sha256:").startswith(start)
    return bool({name, f"{name}:latest"} & names) or by_id


def _chosen(roots: list[FamilyNode], wanted: list[str], *, up: bool, down: bool) -> set[FamilyNode] | None:
    if not wanted:
        return None
    chosen: set[FamilyNode] = set()
    for name in wanted:
        called = [node for node in _walk(roots) if node.held and is_called(node.held, name)]
        if not called:
            raise NotFoundError(f"there is no image {name!r} in this tree; `tierwright tree --all` shows all there are")
        for node in called:
            chosen |= {node, *(_above(node) if up else ()), *(_walk([node]) if down else ())}
    return chosen


def _above(node: FamilyNode) -> Iterator[FamilyNode]:
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
        built=image.of_image(document),
    )
