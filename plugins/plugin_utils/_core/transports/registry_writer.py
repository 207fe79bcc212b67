# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes blobs, manifests and tags to a registry (``spec.md`` of the distribution specification, "Push")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus

from ..chain.names import is_digest
from ..errors import DamagedError, EngineError, NotFoundError
from .image_document import digest
from .manifests import parse_object
from .registry_access import RegistryAccess
from .registry_client import RegistryClient

#: Bytes of a blob that were sent.
Progress = Callable[[int], None]


class RegistryWriter:
    """One registry that images are published to."""

    def __init__(self, host: str, settings: RegistryAccess | None = None) -> None:
        """Take its host and how to contact it; see :class:`.RegistryClient`."""
        self._client = RegistryClient(host, access="pull,push", settings=settings)
        self.title = self._client.title

    def blob_size(self, repository: str, blob: str) -> int | None:
        """Return the size of a blob in bytes; ``None`` if the repository does not have it.

        Raises:
            EngineError: The registry rejected the request; all methods raise this error.
            EngineUnavailableError: The registry does not answer; all methods raise this error.
        """
        path, missing = f"{repository}/blobs/{blob}", {HTTPStatus.NOT_FOUND}
        with self._client.request("HEAD", repository, path, f"blob {blob}", other=missing) as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                return None
            size = answer.headers.get("Content-Length", "")
        if not size.isdecimal():
            raise DamagedError(f"{self.title} does not tell the size of blob {blob} in {repository}")
        return int(size)

    def mount_blob(self, repository: str, blob: str, source: str) -> bool:
        """Take over a blob from another repository of the registry. Return whether the registry did that."""
        parameters = {"mount": blob, "from": source}
        with self._client.request(
            "POST", repository, f"{repository}/blobs/uploads/", f"blob {blob}", parameters=parameters
        ) as answer:
            if answer.status == HTTPStatus.CREATED:
                return True
            upload = answer.headers.get("Location")
        if upload:  # the registry began an upload instead; it is not needed
            with self._client.request(
                "DELETE", repository, upload, "an upload", other={*range(HTTPStatus.BAD_REQUEST, 500)}
            ):
                pass
        return False

    def write_blob(self, repository: str, blob: str, size: int, chunks: Iterable[bytes], progress: Progress) -> None:
        """Upload a blob.

        Args:
            repository: The repository.
            blob: Digest of the blob. The registry compares it with what it received.
            size: Its size in bytes.
            chunks: Its content.
            progress: Called with the number of bytes after each chunk.
        """
        what = f"the upload of blob {blob} to {repository}"
        with self._client.request("POST", repository, f"{repository}/blobs/uploads/", what) as answer:
            upload = answer.headers.get("Location")
        if not upload:
            raise EngineError(f"{self.title} gave no address for {what}")
        headers = {"Content-Type": "application/octet-stream"}
        body = _Body(chunks, size, progress)
        with self._client.request(
            "PUT", repository, upload, what, headers=headers, parameters={"digest": blob}, body=body
        ) as answer:
            _expect_created(self.title, what, answer.status)

    def image_at(self, repository: str, tag: str) -> tuple[str, str] | None:
        """Return the digests of the manifest and the configuration that a tag names; ``None`` if there is no such tag.

        Raises:
            DamagedError: The manifest has a different digest than the registry says.
        """
        try:
            content = self._client.document(repository, "manifests", tag)
        except NotFoundError:
            return None
        config = parse_object(content, f"{repository}:{tag} in {self.title}").get("config")
        return digest(content), str(config.get("digest", "")) if isinstance(config, dict) else ""

    def manifest(self, repository: str, wanted: str) -> bytes:
        """Read the manifest with a digest.

        Raises:
            NotFoundError: The repository does not have it.
            DamagedError: The registry returned a different manifest.
        """
        return self._client.document(repository, "manifests", wanted)

    def write_manifest(self, repository: str, reference: str, content: bytes, media_type: str) -> None:
        """Write a manifest under a tag or its digest. The blobs that it names must be there."""
        what = f"{repository}{'@' if is_digest(reference) else ':'}{reference}"
        headers = {"Content-Type": media_type}
        path = f"{repository}/manifests/{reference}"
        with self._client.request("PUT", repository, path, what, headers=headers, body=content) as answer:
            _expect_created(self.title, what, answer.status)
            said = answer.headers.get("Docker-Content-Digest", "")
        if is_digest(said) and said != digest(content):
            raise DamagedError(f"{self.title} stored {what} with the digest {said}, expected {digest(content)}")


class _Body:
    """A body of known size, so that it is sent with a length and not in HTTP's chunks."""

    def __init__(self, chunks: Iterable[bytes], size: int, progress: Progress) -> None:
        self._chunks, self._size, self._progress = chunks, size, progress

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            yield chunk
            self._progress(len(chunk))


def _expect_created(title: str, what: str, status: int) -> None:
    if status not in {HTTPStatus.CREATED, HTTPStatus.NO_CONTENT, HTTPStatus.OK}:
        raise EngineError(f"{title} answered {what} with HTTP status {status}; expected 201")
