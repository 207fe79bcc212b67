# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images of the engine: inspect, list, load, save, pull, tag and remove them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Protocol

from .. import stopwatch
from ..errors import EngineError, EngineUnavailableError
from .api_errors import MissingError, RefusedError, require_list, translate_errors
from .api_requests import in_path
from .image_ids import ImageNames
from .inspection import HistoryEntry, Identity, Image, Snapshot, read_history_entry, read_image
from .session import EngineSession
from .system import EngineKind

#: Beginning of the text that an engine sends, without an error, if it accepted an image but cannot unpack one of its
#: layers.
_UNFINISHED = "Error unpacking image"


class ImageArchive(Protocol):
    """An archive with one image, in chunks."""

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """Yield the chunks."""

    def manifest(self) -> bytes:
        """Return the manifest of the image. Call this only after the archive was read."""


class Images:
    """The images of one engine."""

    def __init__(self, session: EngineSession, kind: Callable[[], EngineKind], image_names: ImageNames) -> None:
        """Use this session, this function that returns the engine's kind, and these image names."""
        self._session, self._kind, self._image_names = session, kind, image_names

    def find(self, reference: str) -> Image | None:
        """Look up an image by reference or ID; ``None`` if the engine does not have it. Images are never pulled.

        Raises:
            EngineError: The engine rejected the request.
        """
        action, engine_name = f"looking for image {reference}", self._image_names.engine_name(reference)
        try:
            with translate_errors(action):
                info = self._session.get(f"/images/{in_path(engine_name)}/json")
                if self._image_names.uses_manifest_digests and not (info.get("RootFS") or {}).get("Layers"):
                    return None  # the manifest exists, but the blobs that it names do not
                return read_image(info, self._image_names.image_id(str(info["Id"])))
        except MissingError:
            # The same image may exist under a different manifest, with layers that are compressed differently.
            was_known = self._image_names.forget(engine_name)
            return (
                self.find(reference) if was_known and self._image_names.engine_name(reference) != engine_name else None
            )

    def get(self, reference: str) -> Image:
        """Look up an image that must exist.

        Raises:
            EngineError: The engine does not have the image.
        """
        image = self.find(reference)
        if image is None:
            raise EngineError(f"image {reference} is not on the engine any more; it was removed during the build")
        return image

    def full_config(self, image: Image) -> Mapping[str, Any]:
        """Get the whole runtime configuration of an image. Podman reports the health check separately.

        Raises:
            EngineError: The engine rejected the request.
        """
        path = self._kind().health_check_path
        if path is None or image.config.get("Healthcheck"):
            return image.config
        with translate_errors(f"looking for the health check of image {image.id}"):
            health_check = self._session.http.request(path.format(image.id)).get("Healthcheck")
        return {**image.config, "Healthcheck": health_check} if health_check else image.config

    def history(self, image: str) -> list[HistoryEntry]:
        """Read the history of an image, the newest entry first.

        Raises:
            EngineError: The engine rejected the request, or does not have the image.
        """
        with translate_errors(f"reading the history of image {image}"):
            return [read_history_entry(entry) for entry in require_list(self._history(image))]

    def newest_step(self, image: str) -> HistoryEntry | None:
        """Read the newest history entry; ``None`` if the image does not exist (it may just have been removed).

        Raises:
            EngineError: The engine rejected the request.
        """
        try:
            with translate_errors(f"reading the history of image {image}"):
                return read_history_entry(self._history(image)[0])
        except MissingError:
            return None

    def load(self, archive: ImageArchive, what: str) -> Image:
        """Load an archive with one image.

        Args:
            archive: The archive.
            what: Name of its content, for error messages.

        Raises:
            EngineError: The engine rejected the archive, does not have layers that the archive omits, or made a
                different image from it.
        """
        try:
            self.load_archive(archive, what)
        except EngineUnavailableError:
            raise
        except EngineError:
            if self._image_names.uses_manifest_digests:
                self._remove_unfinished(self._image_names.note_loaded(archive.manifest()))
            raise
        expected = self._image_names.note_loaded(archive.manifest())
        image = self.find(expected)
        if image is None:
            raise EngineError(f"loading {what}: the engine accepted the archive, but does not have image {expected}")
        return image

    def _remove_unfinished(self, image: str) -> None:
        """Remove the remains of an image that the engine could not unpack. A complete image existed before: keep it."""
        with suppress(EngineError):
            if self.find(image) is None:
                self.remove(image)

    def engine_name(self, image: str) -> str:
        """Return the engine's own name of an image, for commands that users run; see :mod:`.image_ids`.

        Raises:
            EngineError: The engine does not answer.
        """
        return self._image_names.engine_name(image)

    def descriptors(self, image: str) -> dict[str, Mapping[str, Any]]:
        """Return the descriptors of the stored layers of an image. An image that shares these layers must contain them.

        Returns:
            Descriptors from its manifest (OCI image specification, ``descriptor.md``), by layer digest. Empty if the
            engine does not need them.

        Raises:
            EngineError: The engine rejected the request.
        """
        manifest = self._image_names.manifest(image)
        if manifest is None:
            return {}
        with translate_errors(f"reading the manifest of image {image}"):
            return dict(zip(self.get(image).layers, manifest["layers"], strict=False))

    def load_archive(self, archive: Iterable[bytes | memoryview], what: str) -> None:
        """Load an archive of images, without checking which images it contains.

        Args:
            archive: The archive, in chunks.
            what: Name of its content, for error messages.

        Raises:
            EngineError: The engine rejected the archive.
        """
        with translate_errors(f"loading {what}"):
            with stopwatch.measured("send"):
                answers = list(self._session.api.load_image(archive))
            errors = [answer["error"] for answer in answers if "error" in answer]
            errors += [text for answer in answers if (text := str(answer.get("stream"))).startswith(_UNFINISHED)]
        if errors:
            raise EngineError(f"loading {what}: the engine says: {errors[0]}")

    def save(self, image: str) -> Iterator[bytes]:
        """Read an image from the engine as an archive with all its layers, in chunks.

        Raises:
            EngineError: The engine rejected the request, or does not have the image.
        """
        with translate_errors(f"reading image {image}"):
            yield from self._session.api.get_image(self._image_names.engine_name(image))

    def pull(self, repository: str, digest: str, action: str) -> None:
        """Let the engine pull an image from a registry.

        Args:
            repository: Its repository, with the host name of the registry unless it is the engine's default registry.
            digest: Its digest.
            action: What this is done for, for error messages.

        Raises:
            EngineError: The engine rejected the request, or could not pull the image.
        """
        with translate_errors(action):
            for _progress in self._session.api.pull(repository, tag=digest, stream=True):
                pass
            self._session.api.inspect_image(
                f"{repository}@{digest}"
            )  # the engine does not report errors while it pulls

    def tag(self, image: str, repository: str, tag_name: str) -> None:
        """Point ``repository:tag_name`` at ``image``, even if it named a different image before.

        Raises:
            EngineError: The engine rejected the request, or does not have the image.
        """
        with translate_errors(f"tagging {repository}:{tag_name}"):
            self._session.api.tag(self._image_names.engine_name(image), repository, tag_name)

    def remove(self, reference: str) -> None:
        """Remove a name of an image, or an image without a name. It is kept if something needs it. It need not exist.

        Raises:
            EngineError: The engine rejected the request for a different reason.
        """
        try:
            with translate_errors(f"removing image {reference}"):
                self._session.api.remove_image(self._image_names.engine_name(reference))
        except RefusedError as error:
            if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:  # it is gone, or in use
                return
            image = self.find(reference)
            if image is None or len(image.tags) > 1:  # Podman sends a generic error status here
                return
            raise

    def labelled(self, label: str) -> dict[str, dict[str, str]]:
        """List images that carry ``label`` (``key`` or ``key=value``), with or without a name.

        Returns:
            Labels by image ID.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors("listing images"):
            entries = require_list(self._session.get("/images/json", filters={"label": [label]}))
            return {self._id(entry): entry.get("Labels") or {} for entry in entries}

    def all_ids(self) -> list[str]:
        """List the IDs of all images, with or without a name.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors("listing images"):
            return [self._id(entry) for entry in require_list(self._session.get("/images/json"))]

    def untagged(self, label: str) -> list[tuple[str, dict[str, str]]]:
        """List images that carry ``label`` and that no tag names.

        Returns:
            Pairs of image ID and labels.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors("listing images"):
            entries = require_list(self._session.get("/images/json", filters={"dangling": ["true"], "label": [label]}))
            return [(self._id(entry), entry.get("Labels") or {}) for entry in entries]

    def snapshot(self) -> Snapshot:
        """Take a snapshot of all images that have a name, or on which no other image is based.

        Raises:
            EngineError: The engine does not answer.
        """
        with translate_errors("listing images"):
            entries = require_list(self._session.get("/images/json"))
            return Snapshot(
                (Identity(self._id(entry), entry.get("Labels") or {}), entry.get("RepoTags") or ()) for entry in entries
            )

    def _history(self, image: str) -> Any:
        return self._session.get(f"/images/{in_path(self._image_names.engine_name(image))}/history")

    def _id(self, entry: Mapping[str, Any]) -> str:
        return self._image_names.listed_id(str(entry["Id"]), entry.get("Labels"))
