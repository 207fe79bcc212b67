# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings one image into a repository of a registry, without a tag.

Layers are not compressed. Their digests are those in the image's configuration, so one image has one manifest, whoever
publishes it, and a registry can be asked for a layer before the engine exports it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import EngineError, EngineUnavailableError, RunError
from ..image.manifest import MANIFEST, published_manifest
from ..sealing.loading import extract_layers
from ..text import size as readable_size
from ..transports.image_document import digest
from ..transports.registry_writer import RegistryWriter

#: Bytes that are sent at a time. A connection ends if they take longer than half a minute.
_CHUNK = 1 << 18
#: Interval in seconds between lines about the progress of one layer.
_INTERVAL = 5.0


class Upload(msgspec.Struct, frozen=True):
    """An image in a repository."""

    #: Digest of its manifest.
    manifest: str
    #: Bytes that were sent.
    sent: int


def upload(
    engine: Engine,
    image: Image,
    registry: RegistryWriter,
    repository: str,
    *,
    sources: Sequence[str],
    say: Callable[[str], None],
) -> Upload:
    """Send what the repository does not have of an image: layers, configuration, manifest.

    Args:
        engine: The engine that has the image.
        image: The image.
        registry: The registry.
        repository: The repository's name in the registry.
        sources: Other repositories of the registry, which may have some of its layers.
        say: Called with lines about the progress.

    Raises:
        EngineError: The engine or the registry rejected a request.
        DamagedError: The registry stored something else than it got.
        RunError: There is no space for the layers on this machine.
    """
    sizes: dict[str, int] = {}
    for blob in dict.fromkeys((*image.layers, image.id)):
        size = registry.blob_size(repository, blob)
        if size is None and blob != image.id:
            size = _mount(registry, repository, blob, sources)
        if size is not None:
            sizes[blob] = size
    missing = {*image.layers, image.id} - sizes.keys()
    if missing:
        sizes |= _send(engine, image, registry, repository, missing, sizes.values(), say)
    content = published_manifest(image.id, image.layers, sizes)
    registry.write_manifest(repository, digest(content), content, MANIFEST)
    return Upload(digest(content), sum(sizes[blob] for blob in missing))


def _mount(registry: RegistryWriter, repository: str, blob: str, sources: Sequence[str]) -> int | None:
    """Take over a layer from another repository. Return its size; ``None`` if no other repository gives it."""
    for source in sources:
        try:
            size = registry.blob_size(source, blob)
            if size is not None and registry.mount_blob(repository, blob, source):
                return size
        except EngineUnavailableError:
            raise
        except EngineError:  # the user may not read the other repository, and does not have to
            continue
    return None


def _send(
    engine: Engine,
    image: Image,
    registry: RegistryWriter,
    repository: str,
    missing: set[str],
    present: Collection[int],
    say: Callable[[str], None],
) -> dict[str, int]:
    """Export the image, and upload the missing blobs. Return their sizes.

    ``present`` has the sizes of the blobs that the registry has. To digest these layers, too, takes half the time.
    """
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        try:
            files = extract_layers(engine.images.save(image.id), missing, Path(folder), skipped=present)
            if missing - files.keys():  # a missing layer may have the size of another one
                files |= extract_layers(engine.images.save(image.id), missing - files.keys(), Path(folder, "more"))
        except OSError as error:
            raise RunError(
                f"the layers of image {image.id} cannot be stored in {folder} ({error.strerror}); TMPDIR selects "
                "a different folder"
            ) from error
        if lacking := missing - files.keys():
            raise EngineError(
                f"image {image.id} should have {', '.join(sorted(lacking))}, but they are not in the archive that the "
                "engine saved of it"
            )
        sizes = {}
        for blob in (*image.layers, image.id):
            if blob in missing and blob not in sizes:
                sizes[blob] = files[blob].stat().st_size
                kind = "configuration" if blob == image.id else "layer"
                progress = _Progress(f"{kind} {blob[:19]}", sizes[blob], say)
                registry.write_blob(repository, blob, sizes[blob], _Content(files[blob]), progress.add)
    return sizes


class _Content:
    """The content of a file, in chunks. It begins again each time it is iterated."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


class _Progress:
    """Prints how much of a blob was sent, not more often than every few seconds."""

    def __init__(self, what: str, total: int, say: Callable[[str], None]) -> None:
        self._what, self._total, self._say = what, total, say
        self._sent, self._last = 0, time.monotonic()
        if total > _CHUNK:
            say(f"sending {what}, {readable_size(total)}")

    def add(self, count: int) -> None:
        self._sent += count
        if time.monotonic() - self._last >= _INTERVAL:
            self._last = time.monotonic()
            self._say(f"sending {self._what}: {readable_size(self._sent)} of {readable_size(self._total)}")
