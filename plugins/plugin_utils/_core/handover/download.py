# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings images from registries into the engine.

The engine does not pull them itself: its credentials, its certificates and its rules for registries may differ from
those of the user. Each layer is verified twice, as it is stored and unpacked, before the engine gets it.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ..chain.names import is_digest
from ..engine.chunks import ChunkReader
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import DamagedError
from ..http_client import seconds_for
from ..image import labels
from ..layer_index.tar_stream import LARGEST, ForwardStream, Reader, readable, unpacked
from ..sealing.loading import Layers, load
from ..text import size as readable_size
from .published_image import PublishedImage

_CHUNK = 1 << 20
#: Layers that are downloaded at the same time.
_PARALLEL = 3


def download(engine: Engine, images: Sequence[PublishedImage], say: Callable[[str], None]) -> Iterator[Image]:
    """Load images into the engine, without names. Only layers that the engine does not have are downloaded.

    Args:
        engine: The engine.
        images: The images, parents before children.
        say: Called with lines about the progress.

    Yields:
        Each image as soon as the engine has it, in the same order.

    Raises:
        DamagedError: A layer has a different digest, before or after it is unpacked.
        EngineError: The engine or a registry rejected a request, or does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder, ThreadPoolExecutor(_PARALLEL) as pool:
        donors = {image.document.id: _find_donor(engine, image) for image in images}
        layers_of = {image.document.id: image.document.layers for image in images}
        files: dict[str, Future[Path]] = {}
        try:
            for image in images:
                donor = donors[image.document.id]
                below = layers_of.get(_parent(image), donor.layers if donor else ())
                for number, layer in enumerate(image.document.layers):
                    if layer not in below and layer not in files:
                        files[layer] = pool.submit(_fetch, image, number, Path(folder, str(len(files))), say)
            loaded: dict[str, Image] = {}
            for image in images:
                donor = loaded.get(_parent(image), donors[image.document.id])
                layers = image.document.layers
                if donor and layers[: len(donor.layers)] != donor.layers:
                    raise DamagedError(f"{image.name} names {donor.id} as its parent, but does not have its layers")
                below = donor.layers if donor else ()
                contents = {layer: files[layer].result() for layer in layers if layer not in below}
                loaded[image.document.id] = load(
                    engine, image.config, Layers(layers, contents, donor.id if donor else None)
                )
                yield loaded[image.document.id]
        finally:
            pool.shutdown(cancel_futures=True)


def _parent(image: PublishedImage) -> str:
    return image.document.labels.get(labels.PARENT, "")


def _find_donor(engine: Engine, image: PublishedImage) -> Image | None:
    """Find the image's parent on the engine; ``None`` if the engine does not have it."""
    parent = _parent(image)
    return engine.images.find(parent) if is_digest(parent) else None


def _fetch(image: PublishedImage, number: int, target: Path, say: Callable[[str], None]) -> Path:
    """Download, verify and unpack one layer."""
    layer, blob, client = image.document.layers[number], image.blobs[number], image.client
    what = f"layer {blob.digest} of {image.repository} in {client.title}"
    if not is_digest(blob.digest):
        raise DamagedError(f"{what} is damaged: its name is not a digest; expected sha256:…")
    if blob.size > _CHUNK:
        say(f"downloading layer {layer[:19]} of {image.repository}, {readable_size(blob.size)}")
    with client.get(image.repository, f"{image.repository}/blobs/{blob.digest}", what) as answer:
        source, is_stored_plainly = ChunkReader(answer.chunks(seconds_for(blob.size))), blob.digest == layer
        if is_stored_plainly:
            actual = _write(source, target, what, blob.size)
        else:
            stored = ForwardStream(source, what)
            with readable(what):
                actual = _write(unpacked(stored, what), target, what, LARGEST)
            if (stored_digest := stored.rest()) != blob.digest:
                raise DamagedError(f"{what} is damaged: its content has the digest {stored_digest}")
    if actual != layer:
        raise DamagedError(f"{what} is damaged: unpacked, it has the digest {actual}; its image expects {layer}")
    return target


def _write(source: Reader, target: Path, what: str, largest: int) -> str:
    """Write at most ``largest`` bytes, and return their digest."""
    content, written = hashlib.sha256(), 0
    with target.open("xb") as file:
        while piece := source.read(_CHUNK):
            written += len(piece)
            if written > largest:
                raise DamagedError(f"{what} is damaged: it is larger than {largest} bytes")
            content.update(piece)
            file.write(piece)
    return f"sha256:{content.hexdigest()}"
