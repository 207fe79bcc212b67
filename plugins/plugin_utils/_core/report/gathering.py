# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gathers the model, with each tier's state.

What the pages of tiers are called.

How a tier stands: as it should, or not, and why.

Gathering what a report says, from images and from what plans and runs noted of a chain.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from ..compatibility.matrix_store import is_kept, newest_matrix
from ..compatibility.variant_matrix import Changes, Matrix, compare
from ..errors import DamagedError, NotFoundError, UnsupportedError
from ..layer_index.index import Store
from ..packages.outdated_packages import outdated
from ..state.journal import state_folder
from ..state.status import BUILT, Standing, read_status
from ..transports.image import Stack, open_in
from ..transports.image_document import Document
from ..transports.transport import Packs, Place
from ..views.family_tree import Relative
from ..views.release_history import tell
from ..views.wasted_space import find
from .model import ABSENT, FAILED, NOT_REACHED, STALE, Contents, Facts, ImageInUse, ReportTier
from .selection import SelectedNode, choose, choose_chain

_LONGEST = 60


def slugs(names: Iterable[str]) -> Iterator[str]:
    """Yield a file name, without its ending, for each name, in their order.

    It is unlike all others, also where upper and lower case are one; it has no other characters than small Latin
    letters, digits, ``-`` and ``.``, and begins and ends with a letter or a digit.
    """
    taken: set[str] = set()
    for name in names:
        slug = re.sub(r"[^a-z0-9.]+", "-", name.lower())[:_LONGEST].strip("-.") or "image"
        number, first = 2, slug
        while slug in taken:
            slug, number = f"{first}-{number}", number + 1
        taken.add(slug)
        yield slug


_UNRELEASED = (
    "its last build is not released: the run stopped, something that stands on it failed, or it was rolled back"
)


def judge(
    standing: Standing | None, image: Document | None, parent_image: Document | None, parent_name: str | None
) -> tuple[str, list[str]]:
    """Say what state a tier is in, and why.

    Args:
        standing: What plans and runs noted of it; ``None`` where none was made here.
        image: What is in use of it; ``None`` where there is nothing.
        parent_image: The same of its parent.
        parent_name: What the parent is called; ``None`` where it stands on nothing.

    Returns:
        One of :data:`.model.STATES`, or an empty word; and the reasons.
    """
    noted = standing.state if standing else ""
    if standing and noted in {FAILED, NOT_REACHED}:
        return noted, list(_failures(standing))
    reasons = []
    if standing and standing.wanted and noted:
        reasons += standing.wanted.reasons
    if standing and standing.ended and standing.ended.result == BUILT and not _is(image, standing.ended.image):
        reasons.append(_UNRELEASED)
    if image is None:
        return ABSENT, reasons or ["there is no image of it here"]
    if parent_image is not None and image.layers[: len(parent_image.layers)] != parent_image.layers:
        reasons.append(f"it stands on another image of {parent_name} than the one in use")
    return (STALE, reasons) if reasons else ("", [])


def _is(image: Document | None, identity: str | None) -> bool:
    return image is not None and image.id == identity


def _failures(standing: Standing) -> Iterator[str]:
    ended = standing.ended
    if ended is None:
        return
    if ended.said:
        yield ended.said
    for each in ended.failures:
        owner = f" (team {each.owner})" if each.owner else ""
        yield f"{each.test or 'all tests'}{owner}: {each.message}"


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
        return ({} if chain is None else read_status(chain)), []
    except DamagedError as error:
        return {}, [str(error)]


def _matrix(chain: str | None, missing: list[str]) -> tuple[Matrix | None, Changes | None]:
    if chain is None or not is_kept(state_folder(chain)):
        return None, None
    try:
        now, before = newest_matrix(state_folder(chain))
    except DamagedError as error:
        missing.append(str(error))
        return None, None
    return now, compare(before, now)


def _open(place: Place, store: Store, nodes: Iterable[SelectedNode]) -> tuple[dict[int, Stack], dict[int, str]]:
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
    nodes: list[SelectedNode],
    stacks: Mapping[int, Stack],
    unread: Mapping[int, str],
    standing: Mapping[str, Standing],
) -> list[ReportTier]:
    numbers = {id(node): number for number, node in enumerate(nodes)}
    contents = Contents()
    tiers: list[ReportTier] = [
        ReportTier(node.name, slug) for node, slug in zip(nodes, slugs(each.name for each in nodes), strict=True)
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


def _image(each: Relative) -> ImageInUse:
    return ImageInUse(str(each.id), each.names, each.created, each.built, each.size, each.own, each.own_layers)
