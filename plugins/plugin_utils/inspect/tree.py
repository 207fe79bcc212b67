# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The family tree of all images of a place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..chain import tags
from ..chain.reference import familiar
from ..errors import NotFoundError
from . import built
from .document import timestamp
from .lineage import Node, families, fold
from .place import Held
from .words import short

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
    numbers: dict[Node, int] = {}
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
    name, start = familiar(wanted), wanted.removeprefix("sha256:")
    names = {familiar(each) for each in held.document.names}
    by_id = len(start) >= _SHORTEST_ID and held.document.id.removeprefix("sha256:").startswith(start)
    return bool({name, f"{name}:latest"} & names) or by_id


def _chosen(roots: list[Node], wanted: list[str], *, up: bool, down: bool) -> set[Node] | None:
    if not wanted:
        return None
    chosen: set[Node] = set()
    for name in wanted:
        called = [node for node in _walk(roots) if node.held and is_called(node.held, name)]
        if not called:
            raise NotFoundError(f"there is no image {name!r} in this tree; `tierwright tree --all` shows all there are")
        for node in called:
            chosen |= {node, *(_above(node) if up else ()), *(_walk([node]) if down else ())}
    return chosen


def _above(node: Node) -> Iterator[Node]:
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent


def _walk(roots: Iterable[Node]) -> Iterator[Node]:
    todo = sorted(roots, key=_order, reverse=True)
    while todo:
        node = todo.pop()
        yield node
        todo += sorted(node.children, key=_order, reverse=True)


def _order(node: Node) -> tuple[bool, list[str], int, str]:
    if node.held is None:
        return True, [], 0, ""
    document = node.held.document
    return not document.names, sorted(document.names), document.created, document.id


def _relative(node: Node, number: int, parent: int | None) -> Relative:
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
        built=built.of_image(document),
    )
