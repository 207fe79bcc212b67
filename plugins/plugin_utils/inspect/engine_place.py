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
from urllib.parse import quote, urlencode

from ..chain.reference import familiar
from ..engine.asking import Asking
from ..errors import DamagedError, EngineError, NotFoundError
from ..image import labels
from . import saved
from .document import Document, Step, digest, parse, seconds
from .place import Held
from .store import Store

#: Questions at one time; more make engines slower.
_AT_ONCE = 4
#: Images that are packed together: the engine has a copy of all of them on its disk meanwhile.
_TOGETHER = 4
_NAMELESS = "<none>:<none>"


class EnginePlace:
    """The engine that DOCKER_HOST names, else that of the local socket."""

    def __init__(self, _location: str, store: Store) -> None:
        """Remember the address; nothing is opened yet."""
        self._engine, self._store = Asking(), store
        self.title = f"the engine at {self._engine.address}"

    def held(self, _repository: str = "") -> list[Held]:
        """All its images, with histories where they are needed to know a tier, or what an image stands on."""
        listed = self._engine.json("/images/json?all=true")
        if not isinstance(listed, list):
            raise EngineError(f"{self.title} answered with {type(listed).__name__} where a list of images belongs")
        here = digest(self._engine.address.encode())
        known = _known(self._store.value("engine", here))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            layers = _each(pool, self._layers, listed, known["layers"])
            there = [each for each in listed if each["Id"] in layers]
            doubtful = _doubtful(layers)
            asked = [each for each in there if each["Id"] in doubtful or labels.TIER in (each.get("Labels") or {})]
            history = _each(pool, self._history, asked, known["history"])
        now = {"layers": layers, "history": history}
        if now != known:
            self._store.put("engine", here, now)
        return [_held(each, layers[each["Id"]], _steps(history.get(each["Id"], []))) for each in there]

    def find(self, reference: str) -> Document:
        """Find an image by name or ID; it is packed where only its configuration tells which steps made no layer."""
        if not reference:
            raise NotFoundError(f"{self.title} holds many images; say which one")
        try:
            told = self._engine.json(f"/images/{quote(reference, safe='/:@')}/json")
        except NotFoundError:
            raise NotFoundError(f"{self.title} holds no image {reference!r}; nothing is pulled here") from None
        names = tuple(familiar(name) for name in told.get("RepoTags") or ())
        steps = _steps(self._history(told))
        layers = told["RootFS"].get("Layers") or ()
        if len(steps) == len(layers):
            return _inspected(told, names, tuple(replace(step, empty=False) for step in steps))
        text = self._store.value("config", told["Id"])
        if not isinstance(text, str) or digest(text.encode()) != told["Id"]:
            text = self._save(told["Id"])
            self._store.put("config", told["Id"], text)
        return parse(text.encode(), names, f"image {reference} of {self.title}")

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
            asked = urlencode([("names", each) for each in some])
            with self._engine.stream(f"/images/get?{asked}") as answer:
                saved.read(answer, f"{len(some)} images of {self.title}", store)

    def _save(self, image: str) -> str:
        what = f"image {image} of {self.title}"
        with self._engine.stream(f"/images/{image}/get") as answer:
            passed = saved.read(answer, what, self._store)
        found = next((each.document for each in saved.images(passed, what) if each.document.id == image), None)
        if found is None:
            raise DamagedError(f"{what} is damaged: the engine packs another image under that name")
        saved.check(passed, found, self._store)
        return next(text.decode() for text in passed.documents.values() if digest(text) == image)

    def _layers(self, listed: Mapping[str, Any]) -> list[str]:
        told = self._engine.json(f"/images/{listed['Id']}/json")
        return list(told["RootFS"].get("Layers") or ())

    def _history(self, listed: Mapping[str, Any]) -> list[list[Any]]:
        told = self._engine.json(f"/images/{listed['Id']}/history")
        return [[each.get(key) for key in ("Created", "CreatedBy", "Comment")] for each in reversed(told)]


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
    ask: Callable[[Mapping[str, Any]], list[Any]],
    listed: list[Mapping[str, Any]],
    known: Mapping[str, list[Any]],
) -> dict[str, list[Any]]:
    """What the engine answers for each image, by ID; nothing for one that was removed since the list was made.

    An ID names content, so what is ``known`` is not asked for again.
    """

    def told(each: Mapping[str, Any]) -> list[Any] | None:
        try:
            return known[each["Id"]] if each["Id"] in known else ask(each)
        except NotFoundError:
            return None

    answers = zip(listed, pool.map(told, listed), strict=True)
    return {each["Id"]: answer for each, answer in answers if answer is not None}


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


def _id(told: Mapping[str, Any]) -> str:
    if not isinstance(told["Id"], str):
        raise TypeError(f"an image's ID is {told['Id']!r}")
    return told["Id"]


def _inspected(told: Mapping[str, Any], names: tuple[str, ...], steps: tuple[Step, ...]) -> Document:
    return Document(
        id=_id(told),
        names=names,
        layers=tuple(told["RootFS"].get("Layers") or ()),
        steps=steps,
        config=told.get("Config") or {},
        created=seconds(told.get("Created")),
        platform=f"{told.get('Os') or 'linux'}/{told.get('Architecture') or 'unknown'}",
    )


def _held(listed: Mapping[str, Any], layers: list[str], steps: tuple[Step, ...]) -> Held:
    document = Document(
        id=_id(listed),
        names=tuple(familiar(name) for name in listed.get("RepoTags") or () if name != _NAMELESS),
        layers=tuple(layers),
        steps=steps,
        config={"Labels": listed.get("Labels") or {}},
        created=max(0, int(listed.get("Created") or 0)),
        platform="",
    )
    return Held(document, int(listed.get("Size") or 0))
