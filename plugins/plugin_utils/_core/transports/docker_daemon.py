# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads images from the container engine.

Two facts are missing in the engine's answers about an image: which steps of its history made no layer, and the content
of its layers. To get them, the engine must export the whole image (``GET /images/{id}/get``). Each image is exported
only once, because the store caches the result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec.structs import replace

from ..engine.engine import lazy_engine
from ..engine.image_catalogue import ImageDetails, ListedImage
from ..errors import DamagedError, NotFoundError
from ..image import labels
from ..layer_index.index import Store
from . import archives
from .image_document import Document, Step, digest, parse, seconds
from .transport import HeldImage

#: Requests at one time; more requests make engines slower.
_PARALLEL_REQUESTS = 4
#: Images in one export. During an export, the engine has a copy of all of them on its disk.
_BATCH_SIZE = 4


class EnginePlace:
    """The engine that ``DOCKER_HOST`` names, otherwise the engine at the local socket."""

    def __init__(self, _location: str, store: Store) -> None:
        """Remember the address; no connection is opened yet."""
        engine = lazy_engine()
        self._address, self._images, self._store = engine.address, engine.catalogue, store
        self.title = f"the engine at {self._address}"

    def list_images(self, _repository: str = "") -> list[HeldImage]:
        """Return all images, with the history of those whose tier or parent cannot be determined without it."""
        listed = self._images.images()
        key = digest(self._address.encode())
        cached = _parse_cached(self._store.value("engine", key))
        with ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
            layers = _query_each(pool, self._layers, listed, cached["layers"])
            existing = [image for image in listed if image.id in layers]
            ambiguous = _ambiguous(layers)
            with_history = [image for image in existing if image.id in ambiguous or labels.TIER in image.labels]
            history = _query_each(pool, self._history, with_history, cached["history"])
        current = {"layers": layers, "history": history}
        if current != cached:
            self._store.put("engine", key, current)
        return [_held_image(image, layers[image.id], _steps(history.get(image.id, []))) for image in existing]

    def find(self, reference: str) -> Document:
        """Find an image by name or ID. Export it if only its configuration shows which steps made no layer."""
        if not reference:
            raise NotFoundError(f"{self.title} has many images; name one of them")
        try:
            image = self._images.image(reference)
        except NotFoundError:
            raise NotFoundError(
                f"{self.title} has no image {reference!r}; images are not pulled automatically"
            ) from None
        steps = _steps(self._history(image))
        if len(steps) == len(image.layers):
            return _inspected_document(image, tuple(replace(step, empty=False) for step in steps))
        text = self._store.value("config", image.id)
        if not isinstance(text, str) or digest(text.encode()) != image.id:
            text = self._export(image.id)
            self._store.put("config", image.id, text)
        return parse(text.encode(), image.names, f"image {reference} of {self.title}")

    def fill(self, document: Document, store: Store) -> None:
        """Export the image if the store lacks one of its layers."""
        if any(store.index(layer) is None for layer in document.layers):
            self._export(document.id)

    def fill_together(self, documents: Iterable[Document], store: Store) -> None:
        """Export several images in batches. Shared layers, and ancestors of other images, are exported only once."""
        missing = {each.layers: each for each in documents if any(store.index(layer) is None for layer in each.layers)}
        ancestors = {layers[:number] for layers in missing for number in range(len(layers))}
        tops = [each.id for layers, each in missing.items() if layers not in ancestors]
        for number in range(0, len(tops), _BATCH_SIZE):
            batch = tops[number : number + _BATCH_SIZE]
            with self._images.packed_together(batch) as answer:
                archives.read(answer, f"{len(batch)} images of {self.title}", store)

    def _export(self, image: str) -> str:
        """Index the layers of an image by its ID, and return its configuration."""
        what = f"image {image} of {self.title}"
        with self._images.packed(image) as answer:
            archive = archives.read(answer, what, self._store)
        document = next((each.document for each in archives.images(archive, what) if each.document.id == image), None)
        if document is None:
            raise DamagedError(f"{what} is damaged: the engine exports a different image for this ID")
        archives.check(archive, document, self._store)
        return next(text.decode() for text in archive.documents.values() if digest(text) == image)

    def _layers(self, listed: ListedImage) -> list[str]:
        return list(self._images.image(listed.id).layers)

    def _history(self, image: ListedImage | ImageDetails) -> list[list[Any]]:
        steps = reversed(self._images.history(image.id))
        return [[each.created, each.created_by, each.comment] for each in steps]


def _parse_cached(stored: Any) -> dict[str, dict[str, list[Any]]]:
    """Return the cached facts about an engine's images; nothing if the cache entry is missing or damaged."""
    kinds = ("layers", "history")
    valid = isinstance(stored, dict) and all(
        isinstance(stored.get(kind), dict) and all(isinstance(value, list) for value in stored[kind].values())
        for kind in kinds
    )
    return {kind: stored[kind] if valid else {} for kind in kinds}


def _query_each(
    pool: ThreadPoolExecutor,
    query: Callable[[ListedImage], list[Any]],
    listed: list[ListedImage],
    cached: Mapping[str, list[Any]],
) -> dict[str, list[Any]]:
    """Query the engine for each image.

    Cached answers stay valid, because an ID identifies content.

    Returns:
        The answers by ID, without images that were removed after they were listed.
    """

    def answer_for(image: ListedImage) -> list[Any] | None:
        try:
            return cached[image.id] if image.id in cached else query(image)
        except NotFoundError:
            return None

    answers = zip(listed, pool.map(answer_for, listed), strict=True)
    return {image.id: answer for image, answer in answers if answer is not None}


def _steps(history: list[list[Any]]) -> tuple[Step, ...]:
    if wrong := [text for _created, *texts in history for text in texts if text and not isinstance(text, str)]:
        raise TypeError(f"its history has {wrong[0]!r}, expected a text")
    return tuple(Step(int(created or 0), by or "", comment or "", "", None) for created, by, comment in history)


def _ambiguous(layers_by_id: Mapping[str, list[str]]) -> set[str]:
    """Return the IDs of images whose parent cannot be determined by their layers.

    That is the case if several images consist of exactly the first layers, or all layers, of the image.
    """
    layers = {key: tuple(each) for key, each in layers_by_id.items()}
    repeated = {each for each, count in Counter(layers.values()).items() if count > 1}
    lengths = {len(each) for each in repeated}
    return {key for key, each in layers.items() if any(each[:length] in repeated for length in lengths)}


def _inspected_document(image: ImageDetails, steps: tuple[Step, ...]) -> Document:
    return Document(
        id=image.id,
        names=image.names,
        layers=image.layers,
        steps=steps,
        config=image.config,
        created=seconds(image.created),
        platform=f"{image.os or 'linux'}/{image.architecture or 'unknown'}",
    )


def _held_image(image: ListedImage, layers: list[str], steps: tuple[Step, ...]) -> HeldImage:
    document = Document(
        id=image.id,
        names=image.names,
        layers=tuple(layers),
        steps=steps,
        config={"Labels": image.labels},
        created=image.created,
        platform="",
    )
    return HeldImage(document, image.size)
