# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Handing an image to the engine: only what it lacks where it takes that, else all layers.

An engine that refuses an image whose layers it has gets them back from it: they are read out of an image that has
them, and loaded again. It is remembered for as long as the :class:`Engine` lives.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from weakref import WeakSet

from ..engine.chunks import reader
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import EngineError, EngineUnavailableError
from ..image.configuration import image_id
from ..layer.tar_writer import Layer
from .image_archive import Descriptors, LayerContent, archive_with_new, docker_archive

_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"

#: Most bytes that one layer may unpack to; a compressed one can promise any number.
LARGEST = 64 << 30

#: Engines that want all layers.
_wants_all: WeakSet[Engine] = WeakSet()


@dataclass(frozen=True, slots=True)
class Layers:
    """All layers of an image to be loaded."""

    #: Their digests, the base's first.
    digests: tuple[str, ...]
    #: Content of those that the engine may lack, by digest.
    contents: Mapping[str, LayerContent] = field(default_factory=dict)
    #: ID of an image on the engine that has all others; ``None`` where there are no others.
    donor: str | None = None


def load(engine: Engine, document: bytes, layers: Layers) -> Image:
    """Load the image that ``document`` describes.

    Args:
        engine: The engine.
        document: What :func:`..image.configuration.document` wrote.
        layers: The layers that it names.

    Raises:
        EngineError: The engine refused it.
    """
    made = image_id(document)

    def give(contents: Mapping[str, LayerContent], held: Descriptors) -> Image:
        return engine.images.load(docker_archive(document, layers.digests, contents, held), f"image {made}")

    return _give(engine, layers, give)


def load_new(engine: Engine, layer: Layer, below: Layers, describe: Callable[[str, str], bytes]) -> Image:
    """Load an image with one layer more than others have.

    Args:
        engine: The engine.
        layer: The layer; it is read while it is sent, more than once where the engine refuses first.
        below: The layers that it lies on.
        describe: Writes the document, given the layer's digest and that of its content; see :func:`archive_with_new`.

    Raises:
        EngineError: The engine refused it.
        SealError: The layer cannot be read.
    """

    def give(contents: Mapping[str, LayerContent], held: Descriptors) -> Image:
        return engine.images.load(archive_with_new(layer, describe, below.digests, contents, held), "a new layer")

    return _give(engine, below, give)


def _give(engine: Engine, layers: Layers, give: Callable[[Mapping[str, LayerContent], Descriptors], Image]) -> Image:
    """Give an engine what it lacks of ``layers``, or all of them where it refuses that."""
    lacking = frozenset(layers.digests) - frozenset(layers.contents)
    if layers.donor is None or not lacking:
        return give(layers.contents, {})
    if engine not in _wants_all:
        try:
            return give(layers.contents, engine.images.descriptors(layers.donor))
        except EngineUnavailableError:
            raise
        except EngineError:
            pass  # it may want all layers; if that is not why, it says so of all of them as well
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        fetched = fetch(engine.images.save(layers.donor), lacking, Path(folder))
        if missing := lacking - frozenset(fetched):
            raise EngineError(
                f"image {layers.donor} should have the layers {', '.join(sorted(missing))}, but the engine did not "
                "give them out with it"
            )
        image = give({**fetched, **layers.contents}, {})
    _wants_all.add(engine)
    return image


def fetch(archive: Iterable[bytes], wanted: Collection[str], folder: Path) -> dict[str, Path]:
    """Take layers out of an archive that an engine wrote; it is opened as if hostile.

    Layers are known by the digest of their content and by nothing else: names, links and lists in the archive are
    not looked at, since each version of each engine writes others. No path of the archive is used as one.

    Args:
        archive: The archive, in pieces.
        wanted: Digests of layers.
        folder: A private folder to put them into.

    Returns:
        Files with the layers, uncompressed; those that are not in the archive are missing.

    Raises:
        EngineError: It is no tar archive, or a layer is too large.
    """
    found: dict[str, Path] = {}
    stream = reader(archive)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for number, entry in enumerate(tar):
                file = tar.extractfile(entry) if entry.isreg() else None
                if file is None:
                    continue
                path = folder / str(number)
                digest = _spool(file, path)
                if digest in wanted and digest not in found:
                    found[digest] = path
                else:
                    path.unlink()
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise EngineError(f"reading layers back from the engine: its archive is damaged ({error})") from error
    return found


def _spool(file: IO[bytes], path: Path) -> str:
    """Write a member's content, unpacked where it is packed, and return its digest."""
    digest, written = hashlib.sha256(), 0
    with path.open("xb") as target:
        for piece in _unpacked(file):
            digest.update(piece)
            written += target.write(piece)
            if written > LARGEST:
                raise EngineError(f"reading layers back from the engine: one has more than {LARGEST >> 30} GiB")
    return "sha256:" + digest.hexdigest()


def _unpacked(file: IO[bytes]) -> Iterator[bytes]:
    start = file.read(len(_GZIP))
    if start != _GZIP:
        yield start
        while piece := file.read(_CHUNK):
            yield piece
        return
    unpacker = zlib.decompressobj(wbits=31)
    piece = start
    while piece and not unpacker.eof:
        yield unpacker.decompress(piece, _CHUNK)
        piece = unpacker.unconsumed_tail or file.read(_CHUNK)
    yield unpacker.flush()
