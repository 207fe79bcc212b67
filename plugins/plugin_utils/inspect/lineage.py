# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which image stands on which, from their layers alone.

An image descends from another if its layers begin with all of the other's. Names and labels have no say: both can be
moved or inherited. Of images with the same layers, which differ in their configuration only, one descends from another
if its history begins with all of the other's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .place import Held


@dataclass(slots=True, eq=False)
class Node:
    """An image in its family."""

    #: ``None`` for layers that several images share and that no image consists of.
    held: Held | None
    #: Number of layers.
    depth: int
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)

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


def families(images: Iterable[Held]) -> list[Node]:
    """Put images into their families.

    Returns:
        The nodes that stand on nothing. Images without layers stand alone.
    """
    root = _Place(0)
    alone = []
    for held in images:
        if not held.document.layers:
            alone.append(Node(held, 0))
            continue
        place = root
        for layer in held.document.layers:
            place = place.upon.setdefault(layer, _Place(place.depth + 1))
        place.images.append(held)
    return alone + _grow(root)


def _grow(root: _Place) -> list[Node]:
    found: list[Node] = []
    todo: list[tuple[_Place, list[Node]]] = [(each, []) for each in root.upon.values()]
    while todo:
        place, under = todo.pop()
        if place.images:
            under = _siblings(place, under)
        elif len(place.upon) > 1:
            trunk = Node(None, place.depth)
            _attach(trunk, _on(trunk, under))
            under = [trunk]
        found += [node for node in under if node.parent is None and node.depth == place.depth]
        todo += [(each, under) for each in place.upon.values()]
    return found


def _siblings(place: _Place, under: list[Node]) -> list[Node]:
    """Nodes of the images with one sequence of layers, each attached to what it stands on."""
    made: list[Node] = []
    for held in sorted(place.images, key=_age):
        node = Node(held, place.depth)
        ancestors = [each for each in made if _begins(held, each)]
        _attach(node, ancestors[-1] if ancestors else _on(node, under))
        made.append(node)
    return made


def _age(held: Held) -> tuple[int, int, str]:
    return len(held.document.steps), held.document.created, held.document.id


def _on(node: Node, under: list[Node]) -> Node | None:
    """Of the nodes with the longest beginning of a node's layers, the one that it stands on."""
    if not under or node.held is None:
        return under[0] if under else None
    told = [each for each in under if _begins(node.held, each)]
    return told[-1] if told else under[0]


def _begins(held: Held, node: Node) -> bool:
    steps, others = held.document.steps, node.held.document.steps if node.held else ()
    return 0 < len(others) < len(steps) and all(
        (one.created, one.created_by) == (other.created, other.created_by)
        for one, other in zip(steps, others, strict=False)
    )


def _attach(node: Node, parent: Node | None) -> None:
    node.parent = parent
    if parent is not None:
        parent.children.append(node)


def fold(roots: Iterable[Node]) -> list[Node]:
    """Leave out images without a name: what stands on them stands on what they stood on.

    What at least two named images stand on stays, named or not.

    Returns:
        The nodes that stand on nothing then; the nodes themselves are changed.
    """
    kept: list[Node] = []
    for root in roots:
        kept += _folded(root)
    for node in kept:
        node.parent = None
    return kept


def _folded(root: Node) -> list[Node]:
    order, todo = [], [root]
    while todo:
        node = todo.pop()
        order.append(node)
        todo += node.children
    standing: dict[Node, list[Node]] = {}
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
