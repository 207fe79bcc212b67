# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images as the engine holds them: inspected, loaded, tagged, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Protocol

from ..errors import EngineError, EngineUnavailableError
from .api_errors import MissingError, RefusedError, listed, translated
from .image_ids import Naming
from .inspection import HistoryEntry, Identity, Image, Snapshot, read_history_entry, read_image
from .session import EngineSession
from .system import EngineKind

#: What an engine says beside its answer when it took an image, and cannot unpack one of its layers.
_UNFINISHED = "Error unpacking image"


class ImageArchive(Protocol):
    """An archive with one image, in pieces."""

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """Read it."""

    def manifest(self) -> bytes:
        """The image's manifest; it is known when the archive has been read."""


class Images:
    """The images of one engine."""

    def __init__(self, session: EngineSession, kind: Callable[[], EngineKind], naming: Naming) -> None:
        """Take the way to the engine, what tells its kind, and what it calls images."""
        self._session, self._kind, self._naming = session, kind, naming

    def find(self, reference: str) -> Image | None:
        """Look an image up by reference or ID; ``None`` where the engine holds none. Nothing is ever pulled.

        Raises:
            EngineError: The engine refused.
        """
        doing, called = f"looking for image {reference}", self._naming.theirs(reference)
        try:
            with translated(doing):
                found = self._session.api.inspect_image(called)
                if self._naming.differs and not (found.get("RootFS") or {}).get("Layers"):
                    return None  # the manifest is there, and not what it names
                return read_image(found, self._naming.ours(str(found["Id"])))
        except MissingError:
            # Another image may have the same configuration, and layers that are packed otherwise.
            known = self._naming.forget(called)
            return self.find(reference) if known and self._naming.theirs(reference) != called else None

    def get(self, reference: str) -> Image:
        """Look an image up that must be there.

        Raises:
            EngineError: The engine holds no such image.
        """
        image = self.find(reference)
        if image is None:
            raise EngineError(f"image {reference} is not on the engine any more; somebody removed it during the build")
        return image

    def full_config(self, image: Image) -> Mapping[str, Any]:
        """Get all of an image's runtime configuration: one engine keeps the health check elsewhere.

        Raises:
            EngineError: The engine refused.
        """
        path = self._kind().health_check_path
        if path is None or image.config.get("Healthcheck"):
            return image.config
        doing, api = f"looking for the health check of image {image.id}", self._session.api
        with translated(doing):
            answer = api.get(api.base_url + path.format(image.id), timeout=api.timeout)
            if not answer.ok:
                raise EngineError(f"{doing}: the engine says: {answer.text.strip()}")
            found = answer.json().get("Healthcheck")
        return {**image.config, "Healthcheck": found} if found else image.config

    def history(self, image: str) -> list[HistoryEntry]:
        """Read by which steps an image came to be, the newest first.

        Raises:
            EngineError: The engine refused, or holds no such image.
        """
        with translated(f"reading the history of image {image}"):
            return [read_history_entry(each) for each in self._session.api.history(self._naming.theirs(image))]

    def newest_step(self, image: str) -> HistoryEntry | None:
        """Read the last of these steps; ``None`` where the engine holds no such image, since somebody was quicker.

        Raises:
            EngineError: The engine refused.
        """
        try:
            with translated(f"reading the history of image {image}"):
                return read_history_entry(self._session.api.history(self._naming.theirs(image))[0])
        except MissingError:
            return None

    def load(self, archive: ImageArchive, what: str) -> Image:
        """Load an archive with one image.

        Args:
            archive: The archive.
            what: What is in it, for the message.

        Raises:
            EngineError: The engine refused the archive, lacks layers that are not in it, or made another image of it.
        """
        try:
            self.take(archive, what)
        except EngineUnavailableError:
            raise
        except EngineError:
            if self._naming.differs:
                self._remove_unfinished(self._naming.loaded(archive.manifest()))
            raise
        expected = self._naming.loaded(archive.manifest())
        image = self.find(expected)
        if image is None:
            raise EngineError(f"loading {what}: the engine took it, but holds no image {expected}")
        return image

    def _remove_unfinished(self, image: str) -> None:
        """Remove what the engine keeps of an image that it could not unpack; a whole one was there before."""
        with suppress(EngineError):
            if self.find(image) is None:
                self.remove(image)

    def called(self, image: str) -> str:
        """Give what the engine calls an image, for commands that people run; see :mod:`.image_ids`.

        Raises:
            EngineError: The engine does not answer.
        """
        return self._naming.theirs(image)

    def descriptors(self, image: str) -> dict[str, Mapping[str, Any]]:
        """Say how the engine keeps the layers of an image, where an image that shares them has to say so.

        Returns:
            Descriptors out of its manifest (OCI image specification, ``descriptor.md``), by the layer's digest; none
            where the engine needs none.

        Raises:
            EngineError: The engine refused.
        """
        manifest = self._naming.manifest(image)
        if manifest is None:
            return {}
        with translated(f"reading how the engine keeps image {image}"):
            return dict(zip(self.get(image).layers, manifest["layers"], strict=False))

    def take(self, archive: Iterable[bytes | memoryview], what: str) -> None:
        """Let the engine take an archive of images.

        Args:
            archive: The archive, in pieces.
            what: What is in it, for the message.

        Raises:
            EngineError: The engine refused it.
        """
        with translated(f"loading {what}"):
            answers = list(self._session.api.load_image(archive))
            errors = [answer["error"] for answer in answers if "error" in answer]
            errors += [each for answer in answers if (each := str(answer.get("stream"))).startswith(_UNFINISHED)]
        if errors:
            raise EngineError(f"loading {what}: the engine says: {errors[0]}")

    def save(self, image: str) -> Iterator[bytes]:
        """Read an image out of the engine as an archive with all its layers, in pieces.

        Raises:
            EngineError: The engine refused, or holds no such image.
        """
        with translated(f"reading image {image}"):
            yield from self._session.api.get_image(self._naming.theirs(image))

    def pull(self, repository: str, digest: str, doing: str) -> None:
        """Let the engine fetch an image from its registry.

        Args:
            repository: Its repository, with the registry's name where it is not the engine's own.
            digest: Its digest.
            doing: For what, for the message.

        Raises:
            EngineError: The engine refused, or could not get it.
        """
        with translated(doing):
            for _progress in self._session.api.pull(repository, tag=digest, stream=True):
                pass
            self._session.api.inspect_image(f"{repository}@{digest}")  # what went wrong is not told while it pulls

    def tag(self, image: str, repository: str, tag_name: str) -> None:
        """Let ``repository:tag_name`` name ``image``, whatever it named before.

        Raises:
            EngineError: The engine refused, or holds no such image.
        """
        with translated(f"tagging {repository}:{tag_name}"):
            self._session.api.tag(self._naming.theirs(image), repository, tag_name)

    def remove(self, reference: str) -> None:
        """Remove a name, or an image that has none; it may be gone already, or be needed by others.

        Raises:
            EngineError: The engine refused for another reason.
        """
        try:
            with translated(f"removing image {reference}"):
                self._session.api.remove_image(self._naming.theirs(reference))
        except RefusedError as error:
            if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:  # something stands on it
                return
            image = self.find(reference)
            if image is None or len(image.tags) > 1:  # which Podman refuses with the status of an error
                return
            raise

    def labelled(self, label: str) -> dict[str, dict[str, str]]:
        """List images that carry ``label`` (``key`` or ``key=value``), with a name or without.

        Returns:
            Each one's labels, by its ID.

        Raises:
            EngineError: The engine refused.
        """
        with translated("listing images"):
            found = listed(self._session.api.images(filters={"label": [label]}))
            return {self._id(each): each.get("Labels") or {} for each in found}

    def everything(self) -> list[str]:
        """List the IDs of all images, with a name or without.

        Raises:
            EngineError: The engine refused.
        """
        with translated("listing images"):
            return [self._id(each) for each in listed(self._session.api.images())]

    def nameless(self, label: str) -> list[tuple[str, dict[str, str]]]:
        """List images that no tag names and that carry ``label``.

        Returns:
            Pairs of image ID and its labels.

        Raises:
            EngineError: The engine refused.
        """
        with translated("listing images"):
            found = listed(self._session.api.images(filters={"dangling": True, "label": [label]}))
            return [(self._id(each), each.get("Labels") or {}) for each in found]

    def snapshot(self) -> Snapshot:
        """Ask for all images that have a name, or that no other stands on, at this moment.

        Raises:
            EngineError: The engine does not answer.
        """
        with translated("listing images"):
            found = listed(self._session.api.images())
            return Snapshot(
                (Identity(self._id(each), each.get("Labels") or {}), each.get("RepoTags") or ()) for each in found
            )

    def _id(self, found: Mapping[str, Any]) -> str:
        return self._naming.listed(str(found["Id"]), found.get("Labels"))
