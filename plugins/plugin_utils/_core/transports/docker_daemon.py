# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images in the container engine.

The engine tells most of an image at once, but neither which steps of its history made no layer nor what is in a layer:
for that it packs the whole image (``GET /images/{id}/get``), once for each image that is not in the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ..engine.engine import unopened
from ..engine.image_catalogue import ImageDetails, ListedImage
from ..errors import DamagedError, NotFoundError
from ..image import labels
from ..layer_index.index import Store
from . import archives
from .image_document import Document, Step, digest, parse, seconds
from .transport import Held

#: Questions at one time; more make engines slower.
_AT_ONCE = 4
#: Images that are packed together: the engine has a copy of all of them on its disk meanwhile.
_TOGETHER = 4


class EnginePlace:
    """The engine that DOCKER_HOST names, else that of the local socket."""

    def __init__(self, _location: str, store: Store) -> None:
        """Remember the address; nothing is opened yet."""
        engine = unopened()
        self._address, self._images, self._store = engine.address, engine.catalogue, store
        self.title = f"the engine at {self._address}"

    def held(self, _repository: str = "") -> list[Held]:
        """All its images, with histories where they are needed to know a tier, or what an image stands on."""
        listed = self._images.images()
        here = digest(self._address.encode())
        known = _known(self._store.value("engine", here))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            layers = _each(pool, self._layers, listed, known["layers"])
            there = [each for each in listed if each.id in layers]
            doubtful = _doubtful(layers)
            asked = [each for each in there if each.id in doubtful or labels.TIER in each.labels]
            history = _each(pool, self._history, asked, known["history"])
        now = {"layers": layers, "history": history}
        if now != known:
            self._store.put("engine", here, now)
        return [_held(each, layers[each.id], _steps(history.get(each.id, []))) for each in there]

    def find(self, reference: str) -> Document:
        """Find an image by name or ID; it is packed where only its configuration tells which steps made no layer."""
        if not reference:
            raise NotFoundError(f"{self.title} holds many images; say which one")
        try:
            found = self._images.image(reference)
        except NotFoundError:
            raise NotFoundError(f"{self.title} holds no image {reference!r}; nothing is pulled here") from None
        steps = _steps(self._history(found))
        if len(steps) == len(found.layers):
            return _inspected(found, tuple(replace(step, empty=False) for step in steps))
        text = self._store.value("config", found.id)
        if not isinstance(text, str) or digest(text.encode()) != found.id:
            text = self._save(found.id)
            self._store.put("config", found.id, text)
        return parse(text.encode(), found.names, f"image {reference} of {self.title}")

    def fill(self, document: Document, store: Store) -> None:
        """Read the image once, where the store lacks one of its layers."""
        if any(store.index(layer) is None for layer in document.layers):
            self._save(document.id)

    def fill_together(self, documents: Iterable[Document], store: Store) -> None:
        """Read several images, a few at a time: what they share, and what some of them stand on, is packed once."""
        lacking = {each.layers: each for each in documents if any(store.index(layer) is None for layer in each.layers)}
        below = {layers[:number] for layers in lacking for number in range(len(layers))}
        tops = [each.id for layers, each in lacking.items() if layers not in below]
        for number in range(0, len(tops), _TOGETHER):
            some = tops[number : number + _TOGETHER]
            with self._images.packed_together(some) as answer:
                archives.read(answer, f"{len(some)} images of {self.title}", store)

    def _save(self, image: str) -> str:
        what = f"image {image} of {self.title}"
        with self._images.packed(image) as answer:
            passed = archives.read(answer, what, self._store)
        found = next((each.document for each in archives.images(passed, what) if each.document.id == image), None)
        if found is None:
            raise DamagedError(f"{what} is damaged: the engine packs another image under that name")
        archives.check(passed, found, self._store)
        return next(text.decode() for text in passed.documents.values() if digest(text) == image)

    def _layers(self, listed: ListedImage) -> list[str]:
        return list(self._images.image(listed.id).layers)

    def _history(self, image: ListedImage | ImageDetails) -> list[list[Any]]:
        steps = reversed(self._images.history(image.id))
        return [[each.created, each.created_by, each.comment] for each in steps]


def _known(stored: Any) -> dict[str, dict[str, list[Any]]]:
    """What was remembered of an engine's images; a copy that is damaged is none."""
    kinds = ("layers", "history")
    whole = isinstance(stored, dict) and all(
        isinstance(stored.get(kind), dict) and all(isinstance(each, list) for each in stored[kind].values())
        for kind in kinds
    )
    return {kind: stored[kind] if whole else {} for kind in kinds}


def _each(
    pool: ThreadPoolExecutor,
    ask: Callable[[ListedImage], list[Any]],
    listed: list[ListedImage],
    known: Mapping[str, list[Any]],
) -> dict[str, list[Any]]:
    """What the engine answers for each image, by ID; nothing for one that was removed since the list was made.

    An ID names content, so what is ``known`` is not asked for again.
    """

    def told(each: ListedImage) -> list[Any] | None:
        try:
            return known[each.id] if each.id in known else ask(each)
        except NotFoundError:
            return None

    answers = zip(listed, pool.map(told, listed), strict=True)
    return {each.id: answer for each, answer in answers if answer is not None}


def _steps(history: list[list[Any]]) -> tuple[Step, ...]:
    if wrong := [text for _created, *texts in history for text in texts if text and not isinstance(text, str)]:
        raise TypeError(f"its history has {wrong[0]!r} where a text belongs")
    return tuple(Step(int(created or 0), by or "", comment or "", "", None) for created, by, comment in history)


def _doubtful(images: Mapping[str, list[str]]) -> set[str]:
    """Images of which layers do not tell what they stand on: several images have the layers, or their beginning."""
    layers = {key: tuple(each) for key, each in images.items()}
    several = {each for each, count in Counter(layers.values()).items() if count > 1}
    lengths = {len(each) for each in several}
    return {key for key, each in layers.items() if any(each[:length] in several for length in lengths)}


def _inspected(image: ImageDetails, steps: tuple[Step, ...]) -> Document:
    return Document(
        id=image.id,
        names=image.names,
        layers=image.layers,
        steps=steps,
        config=image.config,
        created=seconds(image.created),
        platform=f"{image.os or 'linux'}/{image.architecture or 'unknown'}",
    )


def _held(image: ListedImage, layers: list[str], steps: tuple[Step, ...]) -> Held:
    document = Document(
        id=image.id,
        names=image.names,
        layers=tuple(layers),
        steps=steps,
        config={"Labels": image.labels},
        created=image.created,
        platform="",
    )
    return Held(document, image.size)
