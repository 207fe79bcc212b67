# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The records of images in registries: bundles that refer to the image's manifest, as cosign 3 stores them.

Bundles are kept in a private cache by the digest of their artifact, and are verified again when they are read there.
Whoever may write to a repository can list anything as a bundle. What is damaged or belongs to a different image is
skipped, with one line: it then counts as missing. A list that cannot be read, or that is too long, is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from .. import local_files
from ..errors import DamagedError, NotFoundError
from ..local_files import own_reads, write_atomically
from ..transports.image_document import digest
from ..transports.manifests import parse_object
from ..transports.referrers import fetch, list_referrers
from ..transports.registry_client import RegistryClient
from .bundle_artifact import LARGEST_MANIFEST, LISTED_AS, find_layer
from .image_identity import ImageIdentity

#: Limit for the bundles of one image together, in bytes.
_LARGEST_TOTAL = 512 << 20


class RegistryPlace(msgspec.Struct, frozen=True):
    """An image in a registry."""

    client: RegistryClient
    repository: str
    #: Digest of its manifest.
    manifest: str


def _ignore(_line: str) -> None:
    pass


class RegistryRecords:
    """The records of an image and its ancestors, in the repositories where these images are."""

    def __init__(self, places: Sequence[RegistryPlace], warn: Callable[[str], None] = _ignore) -> None:
        """Take where the images are. No registry is contacted yet.

        Args:
            places: The places of the image and of its published ancestors. The records of an ancestor that is not
                published itself are in the repository of its nearest published descendant.
            warn: Called with one line about each bundle that is skipped.
        """
        self._places, self._warn = list(places), warn
        #: Digests of configurations, by place.
        self._configs: dict[tuple[str, str, str], str] = {}

    def bundles(self, image: ImageIdentity) -> Iterator[tuple[str, bytes]]:
        """Yield the bundles that claim to be about an image. Their signatures are not checked.

        Args:
            image: The image.

        Yields:
            A title for messages, and the bytes of the bundle.

        Raises:
            DamagedError: A list of bundles is damaged, or too long.
            EngineError: A registry rejected a request.
            EngineUnavailableError: A registry does not answer. Its bundles are not missing for that.
        """
        seen: set[str] = set()
        total = 0
        for place in self._find_places(image):
            for listed in list_referrers(place.client, place.repository, place.manifest, LISTED_AS, "bundles"):
                if listed.digest in seen:
                    continue
                seen.add(listed.digest)
                what = f"bundle {listed.digest} of {place.repository}@{place.manifest} in {place.client.title}"
                try:
                    bundle = _read_bundle(place, listed.digest, what)
                except (DamagedError, NotFoundError) as error:
                    self._warn(f"{error}; it is ignored")
                    continue
                if bundle is None:
                    continue
                total += len(bundle)
                if total > _LARGEST_TOTAL:
                    raise DamagedError(
                        f"the bundles of {place.repository}@{place.manifest} in {place.client.title} have more than "
                        f"{_LARGEST_TOTAL} bytes; remove those from the registry that nobody needs"
                    )
                yield what, bundle

    def _find_places(self, image: ImageIdentity) -> list[RegistryPlace]:
        """Return where the records of an image can be."""
        own = [each for each in self._places if image.manifest in (None, each.manifest)]
        if image.manifest is None:
            return [each for each in own if self._config(each) == image.config]
        if own:
            return own
        repositories = {(each.client.host, each.repository): each for each in self._places}
        return [RegistryPlace(each.client, each.repository, image.manifest) for each in repositories.values()]

    def _config(self, place: RegistryPlace) -> str:
        """Return the digest of the configuration of the image at a place; empty if it is not there."""
        key = place.client.host, place.repository, place.manifest
        if key not in self._configs:
            try:
                content = place.client.document(place.repository, "manifests", place.manifest)
            except NotFoundError:
                content = b"{}"
            config = parse_object(content, f"{place.repository}@{place.manifest} in {place.client.title}").get("config")
            self._configs[key] = str(config.get("digest", "")) if isinstance(config, dict) else ""
        return self._configs[key]


def _read_bundle(place: RegistryPlace, artifact: str, what: str) -> bytes | None:
    """Read a bundle, from the cache or from the registry; ``None`` if the artifact is no bundle."""
    folder = local_files.cache() / "bundles"
    path = folder / f"{artifact.removeprefix('sha256:')}.manifest"
    content = _read_kept(path, artifact)
    if content is None:
        content = fetch(place.client, place.repository, "manifests", artifact, what, LARGEST_MANIFEST)
        _keep(path, content)
    layer = find_layer(content, place.manifest, what)
    if layer is None:
        return None
    path = path.with_suffix(".bundle")
    bundle = _read_kept(path, layer.digest)
    if bundle is None:
        bundle = fetch(place.client, place.repository, "blobs", layer.digest, what, layer.size)
        _keep(path, bundle)
    return bundle


def _read_kept(path: Path, wanted: str) -> bytes | None:
    """Read a file of the cache; ``None`` if it is not there, or does not have its digest any more."""
    try:
        with own_reads():
            content = path.read_bytes()
    except OSError:
        return None
    return content if digest(content) == wanted else None


def _keep(path: Path, content: bytes) -> None:
    """Write a file to the cache. A cache that cannot be written only costs time."""
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, content)
