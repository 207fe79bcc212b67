"""Images of a fake engine."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.names import familiar_name
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.image_catalogue import (
    Catalogue,
    ImageDetails,
    ListedImage,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.images import Images
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import (
    HistoryEntry,
    Identity,
    Image,
    Snapshot,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import DOCKER
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, NotFoundError
from fake_engine import archives
from fake_engine.world import PLAIN, asked, carries, unasked


class FakeImages(Images):
    """What is not here is made of what is: see `Images`."""

    def __init__(self, engine: Any) -> None:
        super().__init__(unasked(), lambda: DOCKER, PLAIN)
        self._engine = engine

    @property
    def _world(self) -> Any:
        return self._engine.world

    @asked
    def find(self, reference: str) -> Image | None:
        image = self._world.image_of(reference)
        return None if image is None else self._told(image)

    @asked
    def history(self, image: str) -> list[HistoryEntry]:
        found = self._world.image(image, f"reading the history of image {image}")
        return list(self._world.images[found].history)

    @asked
    def newest_step(self, image: str) -> HistoryEntry | None:
        found = self._world.image_of(image)
        return None if found is None else self._world.images[found].history[0]

    @asked
    def load_archive(self, archive: Iterable[bytes | memoryview], what: str) -> None:
        try:
            archives.load(self._world, b"".join(archive))
        except (archives.ArchiveError, KeyError, ValueError) as error:
            raise EngineError(f"loading {what}: the engine says: {error}") from error

    def save(self, image: str) -> Iterator[bytes]:
        yield archives.packed(self._world, [self._world.image(image, f"reading image {image}")])

    @asked
    def tag(self, image: str, repository: str, tag_name: str) -> None:
        found = self._world.image(image, f"tagging {repository}:{tag_name}")
        self._world.names[familiar_name(f"{repository}:{tag_name}")] = found

    @asked
    def remove(self, reference: str) -> None:
        """An image that a container was made of, or that has several names and is named by its ID, stays."""
        image = self._world.image_of(reference)
        if image is None:
            return
        names = self._world.names_of(image)
        by_name = self._world.names.get(familiar_name(reference)) == image
        if by_name and len(names) > 1:
            del self._world.names[familiar_name(reference)]
        elif len(names) < 2 and all(each.image != image for each in self._world.containers.values()):
            for name in names:
                del self._world.names[name]
            del self._world.images[image]

    @asked
    def labelled(self, label: str) -> dict[str, dict[str, str]]:
        return {image: each.labels for image, each in self._world.images.items() if carries(each.labels, label)}

    @asked
    def all_ids(self) -> list[str]:
        return list(self._world.images)

    @asked
    def untagged(self, label: str) -> list[tuple[str, dict[str, str]]]:
        named = set(self._world.names.values())
        found = self._world.images.items()
        return [(image, each.labels) for image, each in found if image not in named and carries(each.labels, label)]

    @asked
    def snapshot(self) -> Snapshot:
        return Snapshot(
            (Identity(image, each.labels), self._world.names_of(image)) for image, each in self._world.images.items()
        )

    def _told(self, image: str) -> Image:
        held = self._world.images[image]
        return Image(
            id=image,
            labels=held.labels,
            layers=held.layers,
            config=held.config,
            tags=tuple(self._world.names_of(image)),
            size=held.size,
            architecture=held.architecture,
            os="linux",
            created=held.created,
        )


class FakeCatalogue(Catalogue):
    """The same world, to be looked at."""

    def __init__(self, engine: Any) -> None:
        super().__init__(unasked(), PLAIN)
        self._engine = engine

    @asked
    def images(self) -> list[ListedImage]:
        world = self._engine.world
        return [
            ListedImage(image, tuple(world.names_of(image)), each.labels, each.created, each.size)
            for image, each in world.images.items()
        ]

    @asked
    def image(self, reference: str) -> ImageDetails:
        found = self._engine.images.find(reference)
        if found is None:
            raise NotFoundError(f"the engine at {self._engine.address} says: No such image: {reference}")
        moment = "2026-01-02T03:04:05Z"
        return ImageDetails(found.id, found.tags, found.layers, found.config, moment, found.os, found.architecture)

    @asked
    def history(self, image: str) -> list[HistoryEntry]:
        return self._engine.world.images[self.image(image).id].history

    @contextmanager
    def packed(self, image: str) -> Iterator[Any]:
        yield io.BytesIO(archives.packed(self._engine.world, [self.image(image).id]))

    @contextmanager
    def packed_together(self, images: Iterable[str]) -> Iterator[Any]:
        yield io.BytesIO(archives.packed(self._engine.world, [self.image(each).id for each in images]))
