# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks images of others before they are used: followed tiers, images that are deployed, and pulled bases.

Records that were verified once are kept on this machine, so a locked image is verified later without its registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..chain.names import split_pinned, split_registry
from ..custody.freshness import ExpectedRelease
from ..custody.image_identity import ImageIdentity
from ..custody.policy_check import Check, CheckRelease
from ..custody.record_store import LocalRecords, RecordSource
from ..custody.registry_records import RegistryPlace, RegistryRecords
from ..errors import DamagedError, TrustError, describe_error, errors_of
from ..image import labels
from ..layer_index.index import Store
from ..transports.image import Stack
from ..transports.registry_client import RegistryClient
from .attachments import PublishedParent
from .lock_update import UNVERIFIED
from .record_places import find_record_places

#: Docker Hub has other names in references than in the network.
_HUB, _HUB_HOST, _HUB_OWNER = "docker.io", "registry-1.docker.io", "library"


class ImageChecker:
    """Checks images of others. Without a policy, it only says once that nothing is verified."""

    def __init__(
        self,
        connect: Callable[[str], RegistryClient],
        say: Callable[[str], None],
        check: Check | None = None,
        check_release: CheckRelease | None = None,
        read_layers: Callable[[Stack], None] | None = None,
    ) -> None:
        """Take what refuses images.

        Args:
            connect: Returns a registry, by its host.
            say: Called with lines to print.
            check: Refuses an image; ``None`` if there is no policy.
            check_release: Refuses an image that is not the newest release; ``None`` if there is no policy.
            read_layers: Reads the layers of an image before it is checked; ``None`` if this is not needed.
        """
        self._connect, self._say = connect, say
        self._check, self._check_release, self._read_layers = check, check_release, read_layers
        self._local = LocalRecords(say)
        self._has_told = False

    @property
    def verifies(self) -> bool:
        """Whether there is a policy."""
        return self._check is not None

    def check_published(
        self,
        image: ImageIdentity,
        published: PublishedParent,
        subject: str,
        open_layers: Callable[[Store], Stack],
        tag: str | None = None,
    ) -> None:
        """Check an image that is in a registry.

        Args:
            image: The image.
            published: Its name and the digest of its manifest there.
            subject: What is refused, for the message: ``tier 'corebuild' is not updated``.
            open_layers: Opens the image with its layers. It is called only if the policy is about their content.
            tag: The tag by which it was chosen: it must be the newest release. ``None`` if it was chosen by digest.

        Raises:
            TrustError: The policy refuses it.
            DamagedError: A registry's list of records is damaged.
            EngineError: A registry rejected a request, or does not answer.
        """
        if self._check is None:
            self._tell()
            return
        self._read(open_layers, subject)
        if not self._is_known(self._check, image, subject):
            with errors_of(subject):
                places = find_record_places(self._connect, published)
            self._check_and_keep(self._check, image, places, subject)
        chain, tier = image.labels.get(labels.CHAIN), image.labels.get(labels.TIER)
        if self._check_release and tag and chain and tier:
            host, repository = split_registry(published.image) or ("", published.image)
            place = RegistryPlace(self._connect(host), repository, published.digest)
            expected = ExpectedRelease(chain, tier, tag, published.image, published.digest)
            self._check_release(place, expected, subject)

    def check_local(self, image: ImageIdentity, subject: str, open_layers: Callable[[Store], Stack]) -> None:
        """Check an image of the engine that has no place in a registry, with the records of this machine.

        Args:
            image: The image.
            subject: What is refused, for the message.
            open_layers: Opens the image with its layers. It is called only if the policy is about their content.

        Raises:
            TrustError: The policy refuses it.
        """
        if self._check is None:
            self._tell()
        else:
            self._read(open_layers, subject)
            self._check(image, [self._local], subject)

    def check_pulled(self, check: Check, tier: str, image: ImageIdentity, reference: str) -> None:
        """Check the pulled image of a base that others must have signed.

        Args:
            check: Refuses it.
            tier: The base.
            image: The pulled image.
            reference: The name by which it was pulled, with its digest.

        Raises:
            TrustError: The policy refuses it.
            DamagedError: A registry's list of records is damaged.
            EngineError: A registry rejected a request, or does not answer.
        """
        subject = f"tier {tier!r} is not made from {reference}"
        name, manifest = split_pinned(reference) or (reference, "")
        host, repository = split_registry(name) or (_HUB, name)
        if host == _HUB:
            host, repository = _HUB_HOST, repository if "/" in repository else f"{_HUB_OWNER}/{repository}"
        named = ImageIdentity(image.config, manifest, image.layers, {labels.TIER: tier}, reference)
        if not self._is_known(check, named, subject):
            place = RegistryPlace(self._connect(host), repository, manifest)
            self._check_and_keep(check, named, [place], subject)

    def _read(self, open_layers: Callable[[Store], Stack], subject: str) -> None:
        if self._read_layers is not None:
            with errors_of(subject):
                self._read_layers(open_layers(Store()))

    def _is_known(self, check: Check, image: ImageIdentity, subject: str) -> bool:
        """Say whether the records of this machine are enough."""
        try:
            check(image, [self._local], subject)
        except TrustError:
            return False
        return True

    def _check_and_keep(self, check: Check, image: ImageIdentity, places: list[RegistryPlace], subject: str) -> None:
        """Check an image with the records in registries, and keep those that were read."""
        records = _ReadRecords(RegistryRecords(places, self._say))
        check(image, [self._local, records], subject)
        try:
            for config, bundle in records.read:
                self._local.add(config, bundle)
        except (OSError, DamagedError) as error:
            self._say(f"records of {image.reference} cannot be kept: {describe_error(error)}")

    def _tell(self) -> None:
        if not self._has_told:
            self._has_told = True
            self._say(UNVERIFIED)


class _ReadRecords:
    """Records of a place, and what was read of them."""

    def __init__(self, source: RecordSource) -> None:
        self._source = source
        #: Digests of configurations, and bundles.
        self.read: list[tuple[str, bytes]] = []

    def bundles(self, image: ImageIdentity) -> Iterator[tuple[str, bytes]]:
        for title, bundle in self._source.bundles(image):
            self.read.append((image.config, bundle))
            yield title, bundle
