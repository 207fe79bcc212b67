# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gathering what a report says, from images and from what plans and runs noted of a chain."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping

from ..contract.kept import is_kept, newest
from ..contract.matrix import Changes, Matrix, compare
from ..errors import DamagedError, NotFoundError, UnsupportedError
from ..inspect.document import Document
from ..inspect.outdated import outdated
from ..inspect.place import Packs, Place
from ..inspect.releases import tell
from ..inspect.stack import Stack, open_in
from ..inspect.store import Store
from ..inspect.tree import Relative
from ..inspect.waste import find
from ..run.journal import state_folder
from ..run.standing import Standing, read
from .chosen import Node, choose, choose_chain
from .contents import Contents
from .facts import Facts, Image, Tier
from .judge import judge
from .names import slugs

#: Errors that say something about one image, and nothing about the others.
_OF_ONE_IMAGE = (DamagedError, NotFoundError, UnsupportedError)


def gather(
    place: Place,
    store: Store,
    wanted: str | None,
    made: str,
    *,
    repository: str = "",
    absent: bool = True,
    ask_archives: Callable[[str], None] | None = None,
) -> Facts:
    """Gather all that a report says.

    Args:
        place: Where the images are.
        store: For what is read of them.
        wanted: The chain; ``None`` for the only one, or for all images where none is of a chain.
        made: RFC 3339 time of the report.
        repository: The only one that is asked for, in a registry.
        absent: Whether tiers that were noted and have no image there are shown. An engine holds the chain, an archive
            what somebody put into it.
        ask_archives: Called with a line before an archive is asked for newer packages; ``None`` asks none.

    Raises:
        NotFoundError: There is nothing to report about.
        UsageError: The place holds several chains, and none is named.
        TierwrightError: As asking the place does.
    """
    held = place.held(repository)
    chain = choose_chain(held, wanted, place.title, lambda name: bool(_noted(name)[0]))
    standing, missing = _noted(chain)
    nodes = choose(held, chain, standing, absent=absent)
    if not nodes:
        raise NotFoundError(f"{place.title} holds no image that has a name")
    matrix, changes = _matrix(chain, missing)
    stacks, unread = _open(place, store, nodes)
    stood_on = {id(node.parent) for node in nodes}
    top = [stack for node, stack in stacks.items() if node not in stood_on]
    return Facts(
        chain=chain,
        place=place.title,
        made=made,
        tiers=_tiers(nodes, stacks, unread, standing),
        waste=find(top),
        outdated=outdated(stacks.values(), store, ask_archives) if ask_archives else None,
        matrix=matrix,
        changes=changes,
        missing=missing,
    )


def _noted(chain: str | None) -> tuple[dict[str, Standing], list[str]]:
    """How the tiers stand, and sentences about what cannot be read."""
    try:
        return ({} if chain is None else read(chain)), []
    except DamagedError as error:
        return {}, [str(error)]


def _matrix(chain: str | None, missing: list[str]) -> tuple[Matrix | None, Changes | None]:
    if chain is None or not is_kept(state_folder(chain)):
        return None, None
    try:
        now, before = newest(state_folder(chain))
    except DamagedError as error:
        missing.append(str(error))
        return None, None
    return now, compare(before, now)


def _open(place: Place, store: Store, nodes: Iterable[Node]) -> tuple[dict[int, Stack], dict[int, str]]:
    """Open the images, those of many layers first: what they stand on has been read then.

    Returns:
        By the node's identity, the images, and sentences about those that cannot be read.
    """
    stacks: dict[int, Stack] = {}
    unread: dict[int, str] = {}
    with_image = [(node, node.held.document) for node in nodes if node.held is not None]
    if isinstance(place, Packs):
        with contextlib.suppress(*_OF_ONE_IMAGE):  # what is wrong with an image is told where it is opened alone
            place.fill_together([document for _, document in with_image], store)
    for node, document in sorted(with_image, key=lambda each: -len(each[1].layers)):
        try:
            stacks[id(node)] = open_in(place, _whole(place, document), store, node.name)
        except _OF_ONE_IMAGE as error:
            unread[id(node)] = str(error)
    return stacks, unread


def _whole(place: Place, document: Document) -> Document:
    """The whole of an image, where the place's list has told only what it lists at once."""
    return place.find(document.id) if any(step.empty is None for step in document.steps) else document


def _tiers(
    nodes: list[Node],
    stacks: Mapping[int, Stack],
    unread: Mapping[int, str],
    standing: Mapping[str, Standing],
) -> list[Tier]:
    numbers = {id(node): number for number, node in enumerate(nodes)}
    contents = Contents()
    tiers: list[Tier] = [
        Tier(node.name, slug) for node, slug in zip(nodes, slugs(each.name for each in nodes), strict=True)
    ]
    # Those of many layers first: what is in the lower ones is known then.
    for node in sorted(nodes, key=lambda each: -(each.image.layers if each.image else 0)):
        tier, noted = tiers[numbers[id(node)]], standing.get(node.tier or "")
        tier.standing, tier.team = noted, noted.team if noted else None
        tier.parent = numbers[id(node.parent)] if node.parent else None
        tier.releases = tell(node.name, node.builds).releases
        tier.unread = [unread[id(node)]] if id(node) in unread else []
        below = node.parent.held.document if node.parent and node.parent.held else None
        now = node.held.document if node.held else None
        tier.state, tier.reasons = judge(noted, now, below, node.parent.name if node.parent else None)
        if node.image is not None and node.held is not None:
            tier.image = _image(node.image)
            last = node.held.document.steps[-1] if node.tier else None
            if last is not None:
                tier.team, tier.role, tier.revision = last.team, last.role, last.revision
        if (stack := stacks.get(id(node))) is not None and node.image is not None:
            tier.content = contents.of(stack, node.image.own_layers)
            tier.unread += dict.fromkeys(sentence for layer in tier.content.layers for sentence in layer.unread)
    return tiers


def _image(each: Relative) -> Image:
    return Image(str(each.id), each.names, each.created, each.built, each.size, each.own, each.own_layers)
