# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gathers the content of a report from images, and from the status that plans and runs recorded."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from ..chain.names import familiar_name
from ..compatibility.matrix_store import has_matrices, newest_matrix
from ..compatibility.variant_matrix import Changes, Matrix, compare
from ..custody.build_facts import noted_facts
from ..custody.custody_reader import CustodyReader, identify_document
from ..custody.record_store import LocalRecords
from ..deployment.deployed_service import DeployedSites
from ..errors import DamagedError, NotFoundError, SealError, UnsupportedError
from ..image.labels import TIER, protections
from ..layer_index.index import Store
from ..packages.outdated_packages import outdated
from ..progress import steps, work
from ..state.journal import state_folder
from ..state.status import Standing, read_status
from ..transports.image import Stack, open_in
from ..transports.image_document import Document
from ..transports.transport import BatchPlace, Place
from ..views.family_tree import Relative
from ..views.release_history import list_releases
from ..views.wasted_space import find_waste
from ..watch.run_records import WatchRun, read_runs
from ..watch.survey import WorkKind
from .configured import read_settings
from .content import Contents
from .model import Facts, ImageInUse, ReportCustody, ReportDeployed, ReportTier
from .running import ChainImages, read_deployed
from .selection import SelectedNode, choose, choose_chain
from .tested import newest_tests, passed_tests
from .tier_state import judge

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


#: Errors that concern only one image. The report can show the other images.
_IMAGE_ERRORS = (DamagedError, NotFoundError, UnsupportedError)


class Asking(msgspec.Struct, frozen=True):
    """What a report asks besides the place of the images. Nothing, if a field is ``None``."""

    #: Called with a line of progress before a request to a package archive.
    archives: Callable[[str], None] | None = None
    #: Reads who signed the tiers. Without a policy, nothing is verified.
    custody: CustodyReader | None = None
    #: Asks an engine or a cluster what it runs.
    deployed: Callable[[], DeployedSites] | None = None


_ASKS_NOTHING = Asking()


def gather(
    place: Place,
    store: Store,
    wanted: str | None,
    made: str,
    *,
    repository: str = "",
    absent: bool = True,
    asking: Asking = _ASKS_NOTHING,
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
        asking: What else is asked.

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
    # Other images are shown, but neither their packages nor their waste count for the chain.
    counted = [stacks[id(node)] for node in nodes if id(node) in stacks and (node.tier or chain is None)]
    tiers = _tiers(nodes, stacks, unread, statuses)
    with work("looking for waste"):
        waste = find_waste(list(_uppermost(counted)))
    return Facts(
        chain=chain,
        place=place.title,
        made=made,
        tiers=tiers,
        waste=waste,
        outdated=outdated(counted, store, asking.archives) if asking.archives else None,
        matrix=matrix,
        changes=changes,
        missing=missing,
        runs=_list_runs(chain)[:_RUNS],
        custody=_read_custody(asking.custody, nodes, stacks) if asking.custody else None,
        deployed=_read_deployed(nodes, tiers, statuses, asking.deployed) if chain else None,
    )


def _uppermost(stacks: Sequence[Stack]) -> Iterator[Stack]:
    """Yield the images that no other one is based on."""
    below = {stack.document.layers[:number] for stack in stacks for number in range(len(stack.document.layers))}
    return (stack for stack in stacks if stack.document.layers not in below)


def _read_deployed(
    nodes: Sequence[SelectedNode],
    tiers: Sequence[ReportTier],
    statuses: Mapping[str, Standing],
    ask: Callable[[], DeployedSites] | None,
) -> ReportDeployed:
    """Find out what runs of the chain's tiers."""
    by_config: dict[str, int] = {}
    by_repository: dict[str, int] = {}
    for number, node in enumerate(nodes):
        if node.tier is None:
            continue
        by_config |= {build.document.id: number for build in node.builds}
        if node.tier in statuses:
            by_repository[familiar_name(statuses[node.tier].release).rpartition(":")[0]] = number
    return read_deployed(tiers, ChainImages(by_config, by_repository), ask)


def _read_custody(
    reader: CustodyReader, nodes: Sequence[SelectedNode], stacks: Mapping[int, Stack]
) -> ReportCustody | None:
    """Read who signed each tier; ``None`` without a policy."""
    if reader.named is None:
        return None
    opened = [
        (number, node.name, stacks[id(node)])
        for number, node in enumerate(nodes)
        if id(node) in stacks and node.tier is not None
    ]
    # Images with many layers come first: reading them also reads the layers of their ancestors.
    opened.sort(key=lambda each: -len(each[2].layers))
    tiers = {
        number: reader.read_tier(identify_document(stack.document, name), stack)
        for number, name, stack in steps(opened, "verifying tiers", len(opened))
    }
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
    ordered = sorted(with_image, key=lambda pair: -len(pair[1].layers))
    for node, document in steps(ordered, "reading images", len(ordered)):
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
    contents, records = Contents(), LocalRecords()
    names = slugs(node.name for node in nodes)
    tiers = [ReportTier(node.name, next(names), is_tier=node.tier is not None) for node in nodes]
    # Images with many layers come first: summarizing them also summarizes the layers of their ancestors.
    ordered = sorted(nodes, key=lambda node: -(node.image.layers if node.image else 0))
    for node in steps(ordered, "comparing layers", len(ordered)):
        tier, status = tiers[numbers[id(node)]], statuses.get(node.tier or "")
        tier.status, tier.team = status, status.team if status else None
        tier.parent = numbers[id(node.parent)] if node.parent else None
        tier.releases = list_releases(node.name, node.builds).releases
        tier.unread = [unread[id(node)]] if id(node) in unread else []
        parent_image = node.parent.held.document if node.parent and node.parent.held else None
        image = node.held.document if node.held else None
        tier.state, tier.reasons = judge(status, image, parent_image, node.parent.name if node.parent else None)
        if node.tier is not None:
            _read_records(tier, node, records)
        if node.image is not None and node.held is not None:
            tier.image = _image_in_use(node.image)
            tier.settings = read_settings(node.held.document.config, parent_image.config if parent_image else None)
            last = node.held.document.steps[-1] if node.tier else None
            if last is not None:
                tier.team, tier.role, tier.revision = last.team, last.role, last.revision
        if (stack := stacks.get(id(node))) is not None and node.image is not None:
            tier.content = contents.of(stack, node.image.own_layers)
            tier.unread += dict.fromkeys(sentence for layer in tier.content.layers for sentence in layer.unread)
    return tiers


def _read_records(tier: ReportTier, node: SelectedNode, records: LocalRecords) -> None:
    """Read what builds and tests of a tier noted on this machine, and the protected paths in its image."""
    image = node.held.document if node.held else None
    identity = image.id if image else None
    tier.tests = newest_tests(records, identity, [build.document.id for build in node.builds], tier.status)
    for release in tier.releases:
        if release.tag and release.image not in tier.released_tests and (found := passed_tests(records, release.image)):
            tier.released_tests[release.image] = found
    if image is None:
        return
    with contextlib.suppress(DamagedError):
        tier.built_by = noted_facts(records, image.id)
    try:
        tier.protections = list(protections(image.labels)) if image.labels.get(TIER) == node.tier else []
    except SealError as error:
        tier.unread.append(str(error))


def _image_in_use(image: Relative) -> ImageInUse:
    return ImageInUse(str(image.id), image.names, image.created, image.built, image.size, image.own, image.own_layers)
