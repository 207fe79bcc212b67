# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images as the engine holds them: inspected, loaded, tagged, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from ..errors import EngineError
from .image import HistoryEntry, Identity, Image, read_history_entry, read_image
from .kind import Kind
from .refusal import MissingError, RefusedError, listed, translated
from .session import Session
from .snapshot import Snapshot


class Images:
    """The images of one engine."""

    def __init__(self, session: Session, kind: Callable[[], Kind]) -> None:
        """Take the way to the engine, and what tells its kind."""
        self._session, self._kind = session, kind

    def find(self, reference: str) -> Image | None:
        """Look an image up by reference or ID; ``None`` where the engine holds none. Nothing is ever pulled.

        Raises:
            EngineError: The engine refused.
        """
        try:
            with translated(f"looking for image {reference}"):
                return read_image(self._session.api.inspect_image(reference))
        except MissingError:
            return None

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
            return [read_history_entry(each) for each in self._session.api.history(image)]

    def newest_step(self, image: str) -> HistoryEntry | None:
        """Read the last of these steps; ``None`` where the engine holds no such image, since somebody was quicker.

        Raises:
            EngineError: The engine refused.
        """
        try:
            with translated(f"reading the history of image {image}"):
                return read_history_entry(self._session.api.history(image)[0])
        except MissingError:
            return None

    def load(self, archive: Iterable[bytes | memoryview], expected: str) -> Image:
        """Load an archive of images.

        Args:
            archive: The archive, in pieces.
            expected: ID that the image in it must get.

        Raises:
            EngineError: The engine refused the archive, or the image is not the expected one.
        """
        self.take(archive, f"image {expected}")
        image = self.find(expected)
        if image is None:
            raise EngineError(f"loading image {expected}: the engine took it, but holds no image of that ID")
        return image

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
        if errors:
            raise EngineError(f"loading {what}: the engine says: {errors[0]}")

    def save(self, image: str) -> Iterator[bytes]:
        """Read an image out of the engine as an archive with all its layers, in pieces.

        Raises:
            EngineError: The engine refused, or holds no such image.
        """
        with translated(f"reading image {image}"):
            yield from self._session.api.get_image(image)

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
            self._session.api.tag(image, repository, tag_name)

    def remove(self, reference: str) -> None:
        """Remove a name, or an image that has none; it may be gone already, or be needed by others.

        Raises:
            EngineError: The engine refused for another reason.
        """
        try:
            with translated(f"removing image {reference}"):
                self._session.api.remove_image(reference)
        except RefusedError as error:
            if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:  # something stands on it
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
            return {each["Id"]: each.get("Labels") or {} for each in found}

    def everything(self) -> list[str]:
        """List the IDs of all images, with a name or without.

        Raises:
            EngineError: The engine refused.
        """
        with translated("listing images"):
            return [str(each["Id"]) for each in listed(self._session.api.images())]

    def nameless(self, label: str) -> list[tuple[str, dict[str, str]]]:
        """List images that no tag names and that carry ``label``.

        Returns:
            Pairs of image ID and its labels.

        Raises:
            EngineError: The engine refused.
        """
        with translated("listing images"):
            found = listed(self._session.api.images(filters={"dangling": True, "label": [label]}))
            return [(each["Id"], each.get("Labels") or {}) for each in found]

    def snapshot(self) -> Snapshot:
        """Ask for all images that have a name, or that no other stands on, at this moment.

        Raises:
            EngineError: The engine does not answer.
        """
        with translated("listing images"):
            found = listed(self._session.api.images())
            return Snapshot(
                (Identity(each["Id"], each.get("Labels") or {}), each.get("RepoTags") or ()) for each in found
            )
