# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Selects the images that a report is about, and determines their parents.

The last entry of an image's history names its tier. The parent of a tier is the one in the inventory at the last plan
on this machine. Without a plan, it is the tier of the history entry before. The layers determine the parent of an image
that does not belong to a tier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from ..chain.names import familiar_name
from ..chain.tags import is_lasting
from ..errors import NotFoundError, UsageError
from ..image import labels
from ..state.status import Standing
from ..transports.image_document import Document
from ..transports.transport import HeldImage
from ..views.family_tree import Relative, build_tree

_DEFAULT_TAG = ":latest"


class SelectedNode(msgspec.Struct):
    """A tier, or an image that does not belong to a tier."""

    name: str
    #: Name of the tier; ``None`` for an image that does not belong to a tier.
    tier: str | None
    #: The image in use, in the tree; ``None`` if there is none.
    image: Relative | None
    #: The same image as its place lists it.
    held: HeldImage | None
    #: All images of the tier, in use or not.
    builds: list[HeldImage] = msgspec.field(default_factory=list)
    parent: SelectedNode | None = None


def own_tier(document: Document) -> str | None:
    """Return the tier of an image; ``None`` if it does not belong to a tier."""
    return document.steps[-1].tier if document.steps else None


def chain_of(document: Document) -> str | None:
    """Return the chain of an image; ``None`` if it does not belong to a chain. Inherited labels do not count."""
    tier = own_tier(document)
    return document.labels.get(labels.CHAIN) if tier and document.labels.get(labels.TIER) == tier else None


def choose_chain(
    held: list[HeldImage], wanted: str | None, title: str, has_status: Callable[[str], bool]
) -> str | None:
    """Choose the chain that the report is about.

    Args:
        held: All images of a place.
        wanted: The chain that the user named; ``None`` for the only chain.
        title: Name of the place in messages.
        has_status: Returns whether this machine has the status of a chain.

    Returns:
        Name of the chain; ``None`` if no image belongs to a chain.

    Raises:
        NotFoundError: The place and this machine do not have the wanted chain.
        UsageError: The place has several chains, and ``wanted`` is ``None``.
    """
    chains = sorted({chain for each in held if (chain := chain_of(each.document))})
    if wanted is not None:
        if wanted not in chains and not has_status(wanted):
            raise NotFoundError(f"{title} has no tier of a chain {wanted!r}; its chains: {', '.join(chains) or 'none'}")
        return wanted
    if len(chains) > 1:
        raise UsageError(f"{title} has several chains; name one of {', '.join(chains)}")
    return chains[0] if chains else None


def choose(
    held: list[HeldImage], chain: str | None, statuses: Mapping[str, Standing], *, absent: bool
) -> list[SelectedNode]:
    """Choose the tiers and images that the report shows, parents before children, children by name.

    Args:
        held: All images of a place.
        chain: The chain; ``None`` selects all images with a name.
        statuses: Status of the chain's tiers, by name.
        absent: Whether to select tiers that have a status but no image.
    """
    relatives, held_by_id = build_tree(held).images, {each.document.id: each for each in held}
    documents = {each.document.id: each.document for each in held}
    images = list(_images_of_chain(relatives, documents, chain, statuses))
    nodes: dict[str, SelectedNode] = {}
    for image in images:
        if image.tier is not None:
            build = held_by_id[str(image.id)]
            node = nodes.setdefault(image.tier, SelectedNode(image.tier, image.tier, None, None))
            node.builds.append(build)
            is_better = node.image is None or _rank(image, statuses) > _rank(node.image, statuses)
            # An image that was built but not released is not in use, if a plan recorded the status of the tier.
            if is_better and (_is_in_use(image) or image.tier not in statuses):
                node.image, node.held = image, build
    for name in statuses if absent else ():
        nodes.setdefault(name, SelectedNode(name, name, None, None))
    by_image = {node.image.id: node for node in nodes.values() if node.image}
    for image in images:
        if image.id not in by_image and _is_in_use(image):
            by_image[image.id] = SelectedNode(image.called, None, image, held_by_id[str(image.id)])
    selected = list(nodes.values()) + [node for node in by_image.values() if node.tier is None]
    for node in selected:
        node.parent = _parent(node, nodes, by_image, relatives, statuses)
    return list(_in_order(selected))


def _images_of_chain(
    relatives: list[Relative], documents: Mapping[str, Document], chain: str | None, statuses: Mapping[str, Standing]
) -> Iterator[Relative]:
    """Yield the chain's images, their ancestors, and their descendants that do not belong to a tier."""
    own_ids = _own_ids(documents.values(), chain, statuses)
    own = {each.number for each in relatives if (each.id in own_ids if each.id else chain is None)}
    ancestors: set[int] = set()
    for each in relatives:
        if each.tier is None and each.parent in own:
            own.add(each.number)
        parent = each.parent if each.number in own else None
        while parent is not None and parent not in ancestors:
            ancestors.add(parent)
            parent = relatives[parent].parent
    shown = own | ancestors
    for each in relatives:
        if each.id is not None and (chain is None or each.number in shown):
            yield each


def _own_ids(documents: Iterable[Document], chain: str | None, statuses: Mapping[str, Standing]) -> set[str]:
    """Return the IDs of a chain's own images.

    If a plan recorded the status of a tier, the name of its image decides, and not the label: other projects may use
    the same name for a chain, and this chain may have had a different name before. If no image of the tier has this
    name, which is possible in a registry, the label decides.
    """
    repositories = {name: status.release.rpartition(":")[0] for name, status in statuses.items()}
    by_tier: dict[str, list[Document]] = {}
    own_ids = set()
    for document in documents:
        tier = own_tier(document)
        if tier in repositories:
            by_tier.setdefault(str(tier), []).append(document)
        elif chain_of(document) == chain and not statuses:
            own_ids.add(document.id)
    for tier, images in by_tier.items():
        by_name = {image.id for image in images if repositories[tier] in _repositories(image)}
        own_ids |= by_name or {image.id for image in images if chain_of(image) == chain}
    return own_ids


def _repositories(document: Document) -> set[str]:
    return {familiar_name(name).rpartition(":")[0] for name in document.names}


def _rank(image: Relative, statuses: Mapping[str, Standing]) -> tuple[bool, bool, bool, str]:
    """Return a sort key: the image in use of a tier has the highest one."""
    status = statuses.get(image.tier or "")
    return (
        status is not None and status.release in image.names,
        any(name.endswith(_DEFAULT_TAG) for name in image.names),
        _is_in_use(image),
        image.built or image.created or "",
    )


def _is_in_use(image: Relative) -> bool:
    return any(not is_lasting(name) for name in image.names)


def _parent(
    node: SelectedNode,
    tiers: Mapping[str, SelectedNode],
    by_image: Mapping[str | None, SelectedNode],
    relatives: list[Relative],
    statuses: Mapping[str, Standing],
) -> SelectedNode | None:
    if node.tier is not None and node.tier in statuses:
        return tiers.get(statuses[node.tier].parent or "")
    steps = node.held.document.steps if node.held else ()
    if node.tier and len(steps) > 1 and steps[-2].tier in tiers:
        return tiers[str(steps[-2].tier)]
    ancestor = node.image
    while ancestor is not None and ancestor.parent is not None:
        ancestor = relatives[ancestor.parent]
        if ancestor.id in by_image:
            return by_image[ancestor.id]
    return None


def _in_order(nodes: list[SelectedNode]) -> Iterator[SelectedNode]:
    """Yield parents before children. A circle of parents is broken; only an outdated status can contain one."""
    children: dict[int, list[SelectedNode]] = {}
    for node in nodes:
        children.setdefault(id(node.parent), []).append(node)
    remaining = {id(node): node for node in sorted(nodes, key=lambda node: node.name)}
    todo = sorted(children.get(id(None), []), key=lambda node: node.name, reverse=True)
    while remaining:
        if not todo:
            todo = [next(iter(remaining.values()))]
            todo[0].parent = None
        node = todo.pop()
        if remaining.pop(id(node), None) is not None:
            yield node
            todo += sorted(children.get(id(node), []), key=lambda node: node.name, reverse=True)
