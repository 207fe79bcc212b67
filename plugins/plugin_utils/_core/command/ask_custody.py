# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks for the custody of an image, wherever it is, with the records of this machine and of its registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from ..chain.names import split_pinned, split_registry
from ..custody.custody_answer import Custody
from ..custody.custody_reader import CustodyReader, NamedPolicy, identify_document
from ..custody.freshness import ExpectedRelease, check_release
from ..custody.image_identity import ImageIdentity
from ..custody.layer_content import reread
from ..custody.record_store import LocalRecords, RecordSource
from ..custody.registry_records import RegistryPlace, RegistryRecords
from ..errors import NotFoundError
from ..handover.attachments import PublishedParent
from ..handover.published_image import read_published
from ..handover.record_places import find_record_places
from ..image import labels
from ..layer_index.index import Store
from ..policy.link import Link
from ..policy.version_memory import VersionMemory
from ..transports.containers import container_source
from ..transports.image import Stack, open_stack
from ..transports.registries import Registries
from ..transports.transport import CONTAINER, ENGINE, split


class FirstRecords:
    """Records of the first place that has some about an image. Later places are asked only if they are needed."""

    def __init__(self, sources: Sequence[RecordSource]) -> None:
        """Take the places, the nearest first."""
        self._sources = tuple(sources)

    def bundles(self, image: ImageIdentity) -> Iterator[tuple[str, bytes]]:
        """Yield the bundles of an image; see :class:`.RecordSource`."""
        for source in self._sources:
            found = list(source.bundles(image))
            if found:
                yield from found
                return


class RegistryOfImage:
    """The records in the registry that an image came from. It is contacted when the first record is looked for."""

    def __init__(self, published: PublishedParent, warn: Callable[[str], None]) -> None:
        """Take the name and the manifest of the image in its registry."""
        self._published, self._warn = published, warn
        self._records: RegistryRecords | None = None

    def bundles(self, image: ImageIdentity) -> Iterator[tuple[str, bytes]]:
        """Yield the bundles of an image; see :class:`.RecordSource`."""
        if self._records is None:
            self._records = RegistryRecords(find_record_places(Registries().reader, self._published), self._warn)
        yield from self._records.bundles(image)


def ask_custody(name: str, named: NamedPolicy | None, warn: Callable[[str], None], *, content: bool = False) -> Custody:
    """Read the custody of an image, or of the image that a container runs.

    Args:
        name: The image, as a user names it (:mod:`..transports.transport`), or the name of a container in the engine.
        named: The policy; ``None`` if there is none.
        warn: Called with lines about records that cannot be read.
        content: Whether the layers are read again, and their digests computed.

    Raises:
        NotFoundError: There is neither such an image nor such a container.
        TrustError: A newer policy of the image's chain was seen before.
        TierwrightError: As :func:`..transports.image.open_stack` raises it.
    """
    name, stack = _open(name)
    chain = stack.document.labels.get(labels.CHAIN)
    if named is not None and chain and chain.isprintable():
        VersionMemory(chain).check(named.policy, Path(named.path))
    published = _find_published(name, stack)
    registry = [RegistryOfImage(published, warn)] if published else []
    local, now = LocalRecords(warn), datetime.now(UTC)
    image = identify_document(stack.document, name, published.digest if published else None)
    custody = CustodyReader(named, [FirstRecords([local, *registry])], now, warn).read(image, stack)
    if named is not None and registry and not custody.verified:  # the registry may have more signatures
        custody = CustodyReader(named, [local, *registry], now, warn).read(image, stack)
    more = _release_links(name, named, image, published)
    if content:
        more.append(_content_link(name))
    verified = custody.verified and all(link.ok for link in more)
    return replace(custody, links=[*custody.links, *more], verified=verified)


def _open(name: str) -> tuple[str, Stack]:
    """Open an image, or the image of a container of this name."""
    store = Store()
    try:
        return name, open_stack(name, store)
    except NotFoundError:
        if split(name)[0] not in ENGINE:
            raise
        try:
            return f"{CONTAINER}:{name}", open_stack(f"{CONTAINER}:{name}", store)
        except NotFoundError:
            raise NotFoundError(f"the engine has neither an image nor a container {name!r}") from None


def _find_published(name: str, stack: Stack) -> PublishedParent | None:
    """Return how an image is named in a registry; ``None`` if its names do not tell."""
    kind, location, reference = split(name)
    if kind == "docker":
        repository, _, tag = reference.partition("@") if "@" in reference else reference.rpartition(":")
        client = Registries().reader(location)
        image = read_published(client, repository or reference, tag if repository else "latest")
        return PublishedParent(f"{location}/{repository or reference}", image.manifest) if image else None
    named = [container_source(reference).named] if kind == CONTAINER else []
    for each in (*named, *stack.document.names):
        pinned = split_pinned(each)
        if pinned and split_registry(pinned[0]):
            return PublishedParent(*pinned)
    return None


def _release_links(
    name: str, named: NamedPolicy | None, image: ImageIdentity, published: PublishedParent | None
) -> list[Link]:
    """Check that an image is the newest release, if the user named it by a tag in a registry."""
    kind, location, reference = split(name)
    chain, tier = image.labels.get(labels.CHAIN), image.labels.get(labels.TIER)
    if kind != "docker" or "@" in reference or named is None or published is None or not chain or not tier:
        return []
    repository, _, tag = reference.rpartition(":")
    place = RegistryPlace(Registries().reader(location), repository or reference, published.digest)
    expected = ExpectedRelease(chain, tier, tag if repository else "latest", published.image, published.digest)
    return check_release(named.policy, place, expected, datetime.now(UTC))


def _content_link(name: str) -> Link:
    problem = reread(name)
    if problem is None:
        return Link("", "content", ok=True, detail="the bytes of all layers have their digests")
    action = "do not run this image: remove it from this place, and pull or build it again"
    return Link("", "content", ok=False, detail=problem, action=action)
