# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gathers the content of a report from images, and from the status that plans and runs recorded."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..compatibility.matrix_store import has_matrices, newest_matrix
from ..compatibility.variant_matrix import Changes, Matrix, compare
from ..custody.custody_reader import CustodyReader, identify_document
from ..errors import DamagedError, NotFoundError, UnsupportedError
from ..layer_index.index import Store
from ..packages.outdated_packages import outdated
from ..state.journal import state_folder
from ..state.status import BUILT, Standing, read_status
from ..transports.image import Stack, open_in
from ..transports.image_document import Document
from ..transports.transport import BatchPlace, Place
from ..views.family_tree import Relative
from ..views.release_history import list_releases
from ..views.wasted_space import find_waste
from ..watch.run_records import WatchRun, read_runs
from ..watch.survey import WorkKind
from .model import ABSENT, FAILED, NOT_REACHED, STALE, Contents, Facts, ImageInUse, ReportCustody, ReportTier
from .selection import SelectedNode, choose, choose_chain

_LONGEST = 60
#: Number of runs of watchers.
_RUNS = 20


def slugs(names: Iterable[str]) -> Iterator[str]:
    """Yield a file name without ending for each name, in the same order.

    The file names are unique, even on file systems that ignore case. They consist of lower-case Latin letters, digits,
    ``-`` and ``.``, and begin and end with a letter or a digit.
    """
    used: set[str] = set()
    for name in names:
        slug = re.sub(r"[^a-z0-9.]+", "-", name.lower())[:_LONGEST].strip("-.") or "image"
        number, first = 2, slug
        while slug in used:
            slug, number = f"{first}-{number}", number + 1
        used.add(slug)
        yield slug


_UNRELEASED = "its last build is not released: the run stopped, a descendant failed, or the build was rolled back"


_OTHER_IMAGE = "the lock file names a different image than the one in use"


def judge(
    status: Standing | None, image: Document | None, parent_image: Document | None, parent_name: str | None
) -> tuple[str, list[str]]:
    """Determine the state of a tier, and the reasons.

    Args:
        status: Its status after the last plan and run; ``None`` if this machine made no plan.
        image: Its image in use; ``None`` if there is none.
        parent_image: The parent's image in use; ``None`` if there is none.
        parent_name: Name of the parent; ``None`` if the tier has no parent.

    Returns:
        One of :data:`.model.STATES`, or an empty text if the tier is up to date; and the reasons.
    """
    recorded_state = status.state if status else ""
    if status and recorded_state in {FAILED, NOT_REACHED}:
        return recorded_state, list(_failures(status))
    reasons = []
    if status and status.wanted and recorded_state:
        reasons += status.wanted.reasons
    if status and status.ended and status.ended.result == BUILT and not _has_id(image, status.ended.image):
        reasons.append(_UNRELEASED)
    if status and status.follows and image is not None and image.id != status.follows.image:
        reasons.append(_OTHER_IMAGE)
    if image is None:
        return ABSENT, reasons or ["it has no image here"]
    if parent_image is not None and image.layers[: len(parent_image.layers)] != parent_image.layers:
        reasons.append(f"it is based on an image of {parent_name} that is not the one in use")
    return (STALE, reasons) if reasons else ("", [])


def _has_id(image: Document | None, identity: str | None) -> bool:
    return image is not None and image.id == identity


def _failures(status: Standing) -> Iterator[str]:
    ended = status.ended
    if ended is None:
        return
    if ended.said:
        yield ended.said
    for failure in ended.failures:
        owner = f" (team {failure.owner})" if failure.owner else ""
        yield f"{failure.test or 'all tests'}{owner}: {failure.message}"


#: Errors that concern only one image. The report can show the other images.
_IMAGE_ERRORS = (DamagedError, NotFoundError, UnsupportedError)


def gather(
    place: Place,
    store: Store,
    wanted: str | None,
    made: str,
    *,
    repository: str = "",
    absent: bool = True,
    ask_archives: Callable[[str], None] | None = None,
    custody: CustodyReader | None = None,
) -> Facts:
    """Gather everything that a report shows.

    Args:
        place: Where the images are.
        store: Cache of layer indexes and other values.
        wanted: Name of the chain. ``None`` means the only chain, or all images if no image belongs to a chain.
        made: RFC 3339 time of the report.
        repository: The repository to read, if the place is a registry.
        absent: Whether to show tiers that have a status but no image in the place. Use it for an engine, which has the
            whole chain. An archive may contain only a part of the chain.
        ask_archives: Called with a line of progress before a request to a package archive. ``None`` means that archives
            are not queried.
        custody: Reads who signed the tiers. ``None`` means that no policy was named.

    Raises:
        NotFoundError: There is nothing to report about.
        UsageError: The place has several chains, and ``wanted`` is ``None``.
        TierwrightError: As the methods of the place raise it.
    """
    held = place.list_images(repository)
    chain = choose_chain(held, wanted, place.title, lambda name: bool(_read_statuses(name)[0]))
    statuses, missing = _read_statuses(chain)
    nodes = choose(held, chain, statuses, absent=absent)
    if not nodes:
        raise NotFoundError(f"{place.title} has no image with a name")
    matrix, changes = _matrix(chain, missing)
    stacks, unread = _open(place, store, nodes)
    parents = {id(node.parent) for node in nodes}
    top = [stack for node, stack in stacks.items() if node not in parents]
    return Facts(
        chain=chain,
        place=place.title,
        made=made,
        tiers=_tiers(nodes, stacks, unread, statuses),
        waste=find_waste(top),
        outdated=outdated(stacks.values(), store, ask_archives) if ask_archives else None,
        matrix=matrix,
        changes=changes,
        missing=missing,
        runs=_list_runs(chain)[:_RUNS],
        custody=_read_custody(custody, nodes, stacks) if custody else None,
    )


def _read_custody(
    reader: CustodyReader, nodes: Sequence[SelectedNode], stacks: Mapping[int, Stack]
) -> ReportCustody | None:
    """Read who signed each tier; ``None`` without a policy."""
    if reader.named is None:
        return None
    opened = [(number, node.name, stacks[id(node)]) for number, node in enumerate(nodes) if id(node) in stacks]
    # Images with many layers come first: reading them also reads the layers of their ancestors.
    opened.sort(key=lambda each: -len(each[2].layers))
    tiers = {number: reader.read_tier(identify_document(stack.document, name), stack) for number, name, stack in opened}
    return ReportCustody(reader.named.path, reader.named.policy.version, dict(sorted(tiers.items())))


def _read_statuses(chain: str | None) -> tuple[dict[str, Standing], list[str]]:
    """Read the status of all tiers; also return error messages."""
    try:
        return ({} if chain is None else read_status(chain)), []
    except DamagedError as error:
        return {}, [str(error)]


def _list_runs(chain: str | None) -> list[WatchRun]:
    """List the runs of watchers for a chain, and for sites: these may run images of any chain."""
    return [run for run in read_runs() if chain and (run.kind is WorkKind.DEPLOY or run.about == chain)]


def _matrix(chain: str | None, missing: list[str]) -> tuple[Matrix | None, Changes | None]:
    if chain is None or not has_matrices(state_folder(chain)):
        return None, None
    try:
        newest, before = newest_matrix(state_folder(chain))
    except DamagedError as error:
        missing.append(str(error))
        return None, None
    return newest, compare(before, newest)


def _open(place: Place, store: Store, nodes: Iterable[SelectedNode]) -> tuple[dict[int, Stack], dict[int, str]]:
    """Open the images. Those with many layers come first, because reading them also reads their ancestors.

    Returns:
        The opened images, and error messages for those that cannot be read; both by ``id(node)``.
    """
    stacks: dict[int, Stack] = {}
    unread: dict[int, str] = {}
    with_image = [(node, node.held.document) for node in nodes if node.held is not None]
    if isinstance(place, BatchPlace):
        with contextlib.suppress(*_IMAGE_ERRORS):  # the loop below reports the error for the image that causes it
            place.fill_together([document for _, document in with_image], store)
    for node, document in sorted(with_image, key=lambda pair: -len(pair[1].layers)):
        try:
            stacks[id(node)] = open_in(place, _complete(place, document), store, node.name)
        except _IMAGE_ERRORS as error:
            unread[id(node)] = str(error)
    return stacks, unread


def _complete(place: Place, document: Document) -> Document:
    """Read an image again if the list of images does not show which steps made a layer."""
    return place.find(document.id) if any(step.empty is None for step in document.steps) else document


def _tiers(
    nodes: list[SelectedNode],
    stacks: Mapping[int, Stack],
    unread: Mapping[int, str],
    statuses: Mapping[str, Standing],
) -> list[ReportTier]:
    numbers = {id(node): number for number, node in enumerate(nodes)}
    contents = Contents()
    tiers: list[ReportTier] = [
        ReportTier(node.name, slug) for node, slug in zip(nodes, slugs(node.name for node in nodes), strict=True)
    ]
    # Images with many layers come first: summarizing them also summarizes the layers of their ancestors.
    for node in sorted(nodes, key=lambda node: -(node.image.layers if node.image else 0)):
        tier, status = tiers[numbers[id(node)]], statuses.get(node.tier or "")
        tier.status, tier.team = status, status.team if status else None
        tier.parent = numbers[id(node.parent)] if node.parent else None
        tier.releases = list_releases(node.name, node.builds).releases
        tier.unread = [unread[id(node)]] if id(node) in unread else []
        parent_image = node.parent.held.document if node.parent and node.parent.held else None
        image = node.held.document if node.held else None
        tier.state, tier.reasons = judge(status, image, parent_image, node.parent.name if node.parent else None)
        if node.image is not None and node.held is not None:
            tier.image = _image_in_use(node.image)
            last = node.held.document.steps[-1] if node.tier else None
            if last is not None:
                tier.team, tier.role, tier.revision = last.team, last.role, last.revision
        if (stack := stacks.get(id(node))) is not None and node.image is not None:
            tier.content = contents.of(stack, node.image.own_layers)
            tier.unread += dict.fromkeys(sentence for layer in tier.content.layers for sentence in layer.unread)
    return tiers


def _image_in_use(image: Relative) -> ImageInUse:
    return ImageInUse(str(image.id), image.names, image.created, image.built, image.size, image.own, image.own_layers)
