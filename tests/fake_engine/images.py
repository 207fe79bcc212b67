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
from fake_engine.world import PLAIN, engine_call, has_label, no_session


class FakeImages(Images):
    """Implements the primitive methods. `Images` builds all other methods on them."""

    def __init__(self, engine: Any) -> None:
        super().__init__(no_session(), lambda: DOCKER, PLAIN)
        self._engine = engine

    @property
    def _world(self) -> Any:
        return self._engine.world

    @engine_call
    def find(self, reference: str) -> Image | None:
        image = self._world.image_of(reference)
        return None if image is None else self._describe(image)

    @engine_call
    def history(self, image: str) -> list[HistoryEntry]:
        image_id = self._world.image(image, f"reading the history of image {image}")
        return list(self._world.images[image_id].history)

    @engine_call
    def newest_step(self, image: str) -> HistoryEntry | None:
        image_id = self._world.image_of(image)
        return None if image_id is None else self._world.images[image_id].history[0]

    @engine_call
    def load_archive(self, archive: Iterable[bytes | memoryview], what: str) -> None:
        try:
            archives.load(self._world, b"".join(archive))
        except (archives.ArchiveError, KeyError, ValueError) as error:
            raise EngineError(f"loading {what}: the engine says: {error}") from error

    def save(self, image: str) -> Iterator[bytes]:
        yield archives.pack(self._world, [self._world.image(image, f"reading image {image}")])

    @engine_call
    def tag(self, image: str, repository: str, tag_name: str) -> None:
        image_id = self._world.image(image, f"tagging {repository}:{tag_name}")
        self._world.names[familiar_name(f"{repository}:{tag_name}")] = image_id

    @engine_call
    def remove(self, reference: str) -> None:
        """Remove a name, and the image with its last name.

        An image stays if it has a container, or if `reference` is its ID and it has several names.
        """
        image = self._world.image_of(reference)
        if image is None:
            return
        names = self._world.names_of(image)
        by_name = self._world.names.get(familiar_name(reference)) == image
        if by_name and len(names) > 1:
            del self._world.names[familiar_name(reference)]
        elif len(names) < 2 and all(container.image != image for container in self._world.containers.values()):
            for name in names:
                del self._world.names[name]
            del self._world.images[image]

    @engine_call
    def labelled(self, label: str) -> dict[str, dict[str, str]]:
        return {image: stored.labels for image, stored in self._world.images.items() if has_label(stored.labels, label)}

    @engine_call
    def all_ids(self) -> list[str]:
        return list(self._world.images)

    @engine_call
    def untagged(self, label: str) -> list[tuple[str, dict[str, str]]]:
        named = set(self._world.names.values())
        return [
            (image, stored.labels)
            for image, stored in self._world.images.items()
            if image not in named and has_label(stored.labels, label)
        ]

    @engine_call
    def snapshot(self) -> Snapshot:
        return Snapshot(
            (Identity(image, stored.labels), self._world.names_of(image))
            for image, stored in self._world.images.items()
        )

    def _describe(self, image: str) -> Image:
        stored = self._world.images[image]
        return Image(
            id=image,
            labels=stored.labels,
            layers=stored.layers,
            config=stored.config,
            tags=tuple(self._world.names_of(image)),
            size=stored.size,
            architecture=stored.architecture,
            os="linux",
            created=stored.created,
        )


class FakeCatalogue(Catalogue):
    """Read-only access to the images of the same world."""

    def __init__(self, engine: Any) -> None:
        super().__init__(no_session(), PLAIN)
        self._engine = engine

    @engine_call
    def images(self) -> list[ListedImage]:
        world = self._engine.world
        return [
            ListedImage(image, tuple(world.names_of(image)), stored.labels, stored.created, stored.size)
            for image, stored in world.images.items()
        ]

    @engine_call
    def image(self, reference: str) -> ImageDetails:
        image = self._engine.images.find(reference)
        if image is None:
            raise NotFoundError(f"the engine at {self._engine.address} says: No such image: {reference}")
        created = "2026-01-02T03:04:05Z"
        return ImageDetails(image.id, image.tags, image.layers, image.config, created, image.os, image.architecture)

    @engine_call
    def history(self, image: str) -> list[HistoryEntry]:
        return self._engine.world.images[self.image(image).id].history

    @contextmanager
    def packed(self, image: str) -> Iterator[Any]:
        yield io.BytesIO(archives.pack(self._engine.world, [self.image(image).id]))

    @contextmanager
    def packed_together(self, images: Iterable[str]) -> Iterator[Any]:
        yield io.BytesIO(archives.pack(self._engine.world, [self.image(reference).id for reference in images]))
