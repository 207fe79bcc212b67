# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Loads an image into the engine: only the layers that the engine does not have, if it accepts that, else all layers.

If the engine rejects an image without the layers that it has, these layers are saved from an existing image and loaded
again. This property of the engine is remembered for the lifetime of the :class:`Engine` object.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO
from weakref import WeakSet

import msgspec

from ..engine.chunks import reader
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import EngineError, EngineUnavailableError
from ..image.configuration import image_id
from ..layer.blob_sizes import remember_sizes
from ..layer.tar_writer import Layer
from .image_archive import Descriptors, DockerArchive, LayerContent, archive_with_new, docker_archive

_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"

#: Size limit in bytes of one uncompressed layer. A small compressed layer could expand to any size.
LARGEST = 64 << 30

#: Errors of an archive that is cut off, or damaged inside.
_DAMAGED = (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile)

#: Engines that require all layers.
_need_all_layers: WeakSet[Engine] = WeakSet()


class Layers(msgspec.Struct, frozen=True):
    """All layers of an image to be loaded."""

    #: Their digests, the base's first.
    digests: tuple[str, ...]
    #: Content of the layers that the engine may not have, by digest.
    contents: Mapping[str, LayerContent] = msgspec.field(default_factory=dict)
    #: ID of an image on the engine that has all other layers; ``None`` if there are no others.
    donor: str | None = None


def load(engine: Engine, document: bytes, layers: Layers) -> Image:
    """Load the image that ``document`` describes.

    Args:
        engine: The engine.
        document: The result of :func:`..image.configuration.document`.
        layers: The layers that it lists.

    Raises:
        EngineError: The engine rejected it.
    """
    new_id = image_id(document)

    def send(contents: Mapping[str, LayerContent], held: Descriptors) -> Image:
        archive = docker_archive(document, layers.digests, contents, held)
        image = engine.images.load(archive, f"image {new_id}")
        _remember_sizes(archive, contents)
        return image

    return _send(engine, layers, send)


def load_new(engine: Engine, layer: Layer, below: Layers, describe: Callable[[str, str], bytes]) -> Image:
    """Load an image with one new layer.

    Args:
        engine: The engine.
        layer: The new layer. It is read while it is sent, and again if the engine rejects the first archive.
        below: The layers below it.
        describe: Returns the document, given the layer's digest and that of its content; see :func:`archive_with_new`.

    Raises:
        EngineError: The engine rejected it.
        SealError: The layer cannot be read.
    """

    def send(contents: Mapping[str, LayerContent], held: Descriptors) -> Image:
        archive = archive_with_new(layer, describe, below.digests, contents, held)
        image = engine.images.load(archive, "a new layer")
        _remember_sizes(archive, {*contents, layer.digest})
        return image

    return _send(engine, below, send)


def _send(engine: Engine, layers: Layers, send: Callable[[Mapping[str, LayerContent], Descriptors], Image]) -> Image:
    """Send an image with the layers that have content, or with all layers if the engine rejects that."""
    others = frozenset(layers.digests) - frozenset(layers.contents)
    if layers.donor is None or not others:
        return send(layers.contents, {})
    if engine not in _need_all_layers:
        try:
            return send(layers.contents, engine.images.descriptors(layers.donor))
        except EngineUnavailableError:
            raise
        except EngineError:
            pass  # it may require all layers; if the reason is different, it rejects the archive with all layers, too
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        extracted = extract_layers(engine.images.save(layers.donor), others, Path(folder))
        if missing := others - frozenset(extracted):
            raise EngineError(
                f"image {layers.donor} should have the layers {', '.join(sorted(missing))}, but they are not in the "
                "archive that the engine saved of it"
            )
        image = send({**extracted, **layers.contents}, {})
    _need_all_layers.add(engine)
    return image


def _remember_sizes(archive: DockerArchive, layers: Collection[str]) -> None:
    """Remember the sizes of the configuration and of these layers, which are in the archive."""
    manifest = json.loads(archive.manifest())
    sent = [manifest["config"], *(each for each in manifest["layers"] if each["digest"] in layers)]
    remember_sizes({each["digest"]: each["size"] for each in sent})


def extract_layers(
    archive: Iterable[bytes], wanted: Collection[str], folder: Path, skipped: Collection[int] = ()
) -> dict[str, Path]:
    """Extract layers from an archive that an engine saved. The archive is not trusted.

    Layers are identified only by the digest of their content. Names, links and lists in the archive are ignored,
    because they differ between engines and their versions. Paths of the archive are never used as paths of files.

    Args:
        archive: The archive, in pieces.
        wanted: Digests of the layers.
        folder: A private folder for the extracted layers. It is made if it does not exist.
        skipped: Sizes in bytes of members that are not looked at. With them, a wanted layer may be missing.

    Returns:
        Files with the uncompressed layers, by digest. Layers that are not in the archive are missing.

    Raises:
        EngineError: It is not a tar archive, it is damaged, or a layer is too large.
    """
    layers: dict[str, Path] = {}
    stream = reader(archive)
    folder.mkdir(exist_ok=True)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for number, entry in enumerate(tar):
                file = tar.extractfile(entry) if entry.isreg() and entry.size not in skipped else None
                if file is None:
                    continue
                path = folder / str(number)
                digest = _spool(file, path)
                if digest in wanted and digest not in layers:
                    layers[digest] = path
                else:
                    path.unlink()
    except _DAMAGED as error:
        raise EngineError(f"reading layers from the engine: its archive is damaged ({error})") from error
    return layers


def measure_blobs(archive: Iterable[bytes], wanted: Collection[str]) -> dict[str, int]:
    """Return the sizes of uncompressed layers and of the configuration in an archive that an engine saved.

    They are identified as :func:`extract_layers` does it, but nothing is written.

    Args:
        archive: The archive, in pieces. Its rest is not read if everything was found.
        wanted: Digests of layers and configurations.

    Returns:
        Sizes in bytes, by digest. What is not in the archive is missing.

    Raises:
        EngineError: It is not a tar archive, it is damaged, or a layer is too large.
    """
    sizes: dict[str, int] = {}
    try:
        with tarfile.open(fileobj=reader(archive), mode="r|") as tar:
            for entry in tar:
                file = tar.extractfile(entry) if entry.isreg() else None
                if file is not None:
                    digest, size = _copy(file, lambda _piece: None)
                    if digest in wanted:
                        sizes[digest] = size
                if sizes.keys() == set(wanted):
                    break
    except _DAMAGED as error:
        raise EngineError(f"reading layers from the engine: its archive is damaged ({error})") from error
    return sizes


def _spool(file: IO[bytes], path: Path) -> str:
    """Write a member's content, uncompressed, and return its digest."""
    with path.open("xb") as target:
        return _copy(file, target.write)[0]


def _copy(file: IO[bytes], write: Callable[[bytes], object]) -> tuple[str, int]:
    """Write a member's content, uncompressed, and return its digest and size."""
    digest, written = hashlib.sha256(), 0
    for piece in _decompress(file):
        digest.update(piece)
        write(piece)
        written += len(piece)
        if written > LARGEST:
            raise EngineError(f"reading layers from the engine: one has more than {LARGEST >> 30} GiB")
    return "sha256:" + digest.hexdigest(), written


def _decompress(file: IO[bytes]) -> Iterator[bytes]:
    start = file.read(len(_GZIP))
    if start != _GZIP:
        yield start
        while piece := file.read(_CHUNK):
            yield piece
        return
    decompressor = zlib.decompressobj(wbits=31)
    piece = start
    while piece and not decompressor.eof:
        yield decompressor.decompress(piece, _CHUNK)
        piece = decompressor.unconsumed_tail or file.read(_CHUNK)
    yield decompressor.flush()
