# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which images a report is about, and what stands on what.

A tier is what the last entry of an image's history names; its parent is what the inventory said when a plan was last
made here, else the tier of the entry before. Images that are no tiers stand where their layers put them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..chain.names import familiar_name
from ..chain.tags import is_lasting
from ..errors import NotFoundError, UsageError
from ..image import labels
from ..state.status import Standing
from ..transports.image_document import Document
from ..transports.transport import Held
from ..views.family_tree import Relative, grow

_USUAL = ":latest"


@dataclass(slots=True)
class SelectedNode:
    """A tier, or an image that is none."""

    name: str
    #: Name of the tier; ``None`` for an image that is none.
    tier: str | None
    image: Relative | None
    held: Held | None
    #: Every image of the tier.
    builds: list[Held] = field(default_factory=list)
    parent: SelectedNode | None = None


def own_tier(document: Document) -> str | None:
    """The tier that an image is of."""
    return document.steps[-1].tier if document.steps else None


def chain_of(document: Document) -> str | None:
    """The chain that an image is of; an inherited label does not count."""
    tier = own_tier(document)
    return document.labels.get(labels.CHAIN) if tier and document.labels.get(labels.TIER) == tier else None


def choose_chain(held: list[Held], wanted: str | None, title: str, noted: Callable[[str], bool]) -> str | None:
    """Say which chain the report is about.

    Args:
        held: All images of a place.
        wanted: What the user asks for; ``None`` for the only one.
        title: What the place is called.
        noted: Says whether a plan of a chain was noted here.

    Returns:
        Its name; ``None`` where no image is of any.

    Raises:
        NotFoundError: There is nothing of it.
        UsageError: There are several.
    """
    known = sorted({chain for each in held if (chain := chain_of(each.document))})
    if wanted is not None:
        if wanted not in known and not noted(wanted):
            there = f"it holds {', '.join(known)}" if known else "it holds none"
            raise NotFoundError(f"{title} holds no tier of a chain {wanted!r}; {there}")
        return wanted
    if len(known) > 1:
        raise UsageError(f"{title} holds several chains; name one of {', '.join(known)}")
    return known[0] if known else None


def choose(
    held: list[Held], chain: str | None, standing: Mapping[str, Standing], *, absent: bool
) -> list[SelectedNode]:
    """Choose what the report shows, parents before children, and these in the order of their names.

    Args:
        held: All images of a place.
        chain: The chain; ``None`` shows every image that has a name.
        standing: How its tiers stand.
        absent: Whether tiers are shown that stand somehow and have no image.
    """
    relatives, documents = grow(held).images, {each.document.id: each for each in held}
    mine = list(_mine(relatives, {each.document.id: each.document for each in held}, chain, standing))
    nodes: dict[str, SelectedNode] = {}
    for each in mine:
        if each.tier is not None:
            build = documents[str(each.id)]
            node = nodes.setdefault(each.tier, SelectedNode(each.tier, each.tier, None, None))
            node.builds.append(build)
            better = node.image is None or _rank(each, standing) > _rank(node.image, standing)
            # What was built and not released is nobody's image yet, where a plan has told what is.
            if better and (_is_in_use(each) or each.tier not in standing):
                node.image, node.held = each, build
    for name in standing if absent else ():
        nodes.setdefault(name, SelectedNode(name, name, None, None))
    by_image = {node.image.id: node for node in nodes.values() if node.image}
    for each in mine:
        if each.id not in by_image and _is_in_use(each):
            by_image[each.id] = SelectedNode(each.called, None, each, documents[str(each.id)])
    found = list(nodes.values()) + [node for node in by_image.values() if node.tier is None]
    for node in found:
        node.parent = _parent(node, nodes, by_image, relatives, standing)
    return list(_in_order(found))


def _mine(
    relatives: list[Relative], documents: Mapping[str, Document], chain: str | None, standing: Mapping[str, Standing]
) -> Iterator[Relative]:
    """The chain's images, what they stand on, and what stands on them that is no other chain's."""
    own = _own(documents.values(), chain, standing)
    above = {each.number for each in relatives if (each.id in own if each.id else chain is None)}
    below: set[int] = set()
    for each in relatives:
        if each.tier is None and each.parent in above:
            above.add(each.number)
        parent = each.parent if each.number in above else None
        while parent is not None and parent not in below:
            below.add(parent)
            parent = relatives[parent].parent
    shown = above | below
    for each in relatives:
        if each.id is not None and (chain is None or each.number in shown):
            yield each


def _own(documents: Iterable[Document], chain: str | None, standing: Mapping[str, Standing]) -> set[str]:
    """IDs of a chain's own images.

    What a plan has told of its tiers goes before labels: other projects may have called a chain the same, or this one
    otherwise before. In a place that has a tier under other names only, as a registry may, its label is all there is.
    """
    repositories = {name: each.release.rpartition(":")[0] for name, each in standing.items()}
    of_tiers: dict[str, list[Document]] = {}
    found = set()
    for each in documents:
        tier = own_tier(each)
        if tier in repositories:
            of_tiers.setdefault(str(tier), []).append(each)
        elif chain_of(each) == chain and not standing:
            found.add(each.id)
    for tier, images in of_tiers.items():
        there = {each.id for each in images if repositories[tier] in _repositories(each)}
        found |= there or {each.id for each in images if chain_of(each) == chain}
    return found


def _repositories(document: Document) -> set[str]:
    return {familiar_name(name).rpartition(":")[0] for name in document.names}


def _rank(each: Relative, standing: Mapping[str, Standing]) -> tuple[bool, bool, bool, str]:
    """How much speaks for an image being the one of its tier that is in use."""
    noted = standing.get(each.tier or "")
    return (
        noted is not None and noted.release in each.names,
        any(name.endswith(_USUAL) for name in each.names),
        _is_in_use(each),
        each.built or each.created or "",
    )


def _is_in_use(each: Relative) -> bool:
    return any(not is_lasting(name) for name in each.names)


def _parent(
    node: SelectedNode,
    tiers: Mapping[str, SelectedNode],
    by_image: Mapping[str | None, SelectedNode],
    relatives: list[Relative],
    standing: Mapping[str, Standing],
) -> SelectedNode | None:
    if node.tier is not None and node.tier in standing:
        return tiers.get(standing[node.tier].parent or "")
    steps = node.held.document.steps if node.held else ()
    if node.tier and len(steps) > 1 and steps[-2].tier in tiers:
        return tiers[str(steps[-2].tier)]
    at = node.image
    while at is not None and at.parent is not None:
        at = relatives[at.parent]
        if at.id in by_image:
            return by_image[at.id]
    return None


def _in_order(nodes: list[SelectedNode]) -> Iterator[SelectedNode]:
    """Parents before children. Where parents lead in a circle, which only notes of old can say, it is cut."""
    children: dict[int, list[SelectedNode]] = {}
    for node in nodes:
        children.setdefault(id(node.parent), []).append(node)
    left = {id(node): node for node in sorted(nodes, key=lambda node: node.name)}
    todo = sorted(children.get(id(None), []), key=lambda node: node.name, reverse=True)
    while left:
        if not todo:
            todo = [next(iter(left.values()))]
            todo[0].parent = None
        node = todo.pop()
        if left.pop(id(node), None) is not None:
            yield node
            todo += sorted(children.get(id(node), []), key=lambda node: node.name, reverse=True)
