# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes blobs, manifests and tags to a registry (``spec.md`` of the distribution specification, "Push")."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus

from ..chain.names import is_digest
from ..errors import DamagedError, EngineError, EngineUnavailableError, NotFoundError
from ..http_client import HttpError, seconds_for
from ..text import one_line
from .image_document import digest
from .manifests import parse_object
from .registry_access import RegistryAccess
from .registry_client import RegistryClient

#: Bytes of a blob that were sent; a negative number if the upload begins again.
Progress = Callable[[int], None]

_SIZE = re.compile(r"[0-9]{1,18}")
#: Seconds before each repetition of an upload that broke off.
_PAUSES = (1.0, 4.0)
#: Seconds before a tag or a manifest is read again that is not there yet: a registry may answer from a cache.
_LOOKS = (0.0, 0.2, 1.0, 3.0)


class RegistryWriter:
    """One registry that images are published to."""

    def __init__(self, host: str, settings: RegistryAccess | None = None) -> None:
        """Take its host and how to contact it; see :class:`.RegistryClient`."""
        self._client = RegistryClient(host, access="pull,push", settings=settings)
        self.title = self._client.title

    @property
    def client(self) -> RegistryClient:
        """The client, for readers."""
        return self._client

    def blob_size(self, repository: str, blob: str) -> int | None:
        """Return the size of a blob in bytes; ``None`` if the repository does not have it.

        Raises:
            DamagedError: The registry tells no size, or that it would return a different blob.
            EngineError: The registry rejected the request; all methods raise this error.
            EngineUnavailableError: The registry does not answer; all methods raise this error.
        """
        what, missing = f"blob {blob} of {repository}", {HTTPStatus.NOT_FOUND}
        with self._client.request("HEAD", repository, f"{repository}/blobs/{blob}", what, other=missing) as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                return None
            size, said = answer.headers.get("Content-Length", ""), answer.headers.get("Docker-Content-Digest", blob)
        if not _SIZE.fullmatch(size) or said != blob:
            raise DamagedError(
                f"{self.title} answered the request for {what} with the digest {one_line(said, 80)} "
                f"and the size {one_line(size or 'unknown')}"
            )
        return int(size)

    def mount_blob(self, repository: str, blob: str, source: str) -> bool:
        """Take over a blob from another repository of the registry. Return whether the registry did that."""
        parameters = {"mount": blob, "from": source}
        with self._client.request(
            "POST", repository, f"{repository}/blobs/uploads/", f"blob {blob} of {source}", parameters=parameters
        ) as answer:
            if answer.status == HTTPStatus.CREATED:
                return True
            upload = answer.headers.get("Location")
        if upload:  # the registry began an upload instead; it is not needed
            every = range(HTTPStatus.BAD_REQUEST, 600)  # a registry may not support this
            with self._client.request("DELETE", repository, upload, "the end of an upload", other=every):
                pass
        return False

    def write_blob(self, repository: str, blob: str, size: int, chunks: Iterable[bytes], progress: Progress) -> None:
        """Upload a blob. An upload that breaks off is repeated from its beginning.

        Args:
            repository: The repository.
            blob: Digest of the blob. The registry compares it with what it received.
            size: Its size in bytes.
            chunks: Its content, which begins again each time it is iterated.
            progress: Called with the number of bytes after each chunk.

        Raises:
            DamagedError: The registry stored something else.
        """
        what, body = f"the upload of blob {blob} to {repository}", _Body(chunks, size, progress)
        for pause in (*_PAUSES, None):
            try:
                self._upload(repository, blob, what, body)
                break
            except EngineUnavailableError:
                if pause is None:
                    raise
                time.sleep(pause)
        stored = self.blob_size(repository, blob)
        if stored != size:
            found = "nothing" if stored is None else f"{stored} bytes"
            raise DamagedError(f"{self.title} stored {found} after {what}, expected {size} bytes")

    def _upload(self, repository: str, blob: str, what: str, body: _Body) -> None:
        with self._client.request("POST", repository, f"{repository}/blobs/uploads/", what) as answer:
            upload = answer.headers.get("Location")
        if not upload:
            raise EngineError(f"{self.title} gave no address for {what}")
        headers = {"Content-Type": "application/octet-stream"}
        with self._client.request(
            "PUT", repository, upload, what, headers=headers, parameters={"digest": blob}, body=body
        ) as answer:
            _expect_created(self.title, what, answer.status)

    def image_at(self, repository: str, tag: str) -> tuple[str, str] | None:
        """Return the digests of the manifest and the configuration that a tag names; ``None`` if there is no such tag.

        A digest in place of the tag names its manifest.

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

    def write_manifest(self, repository: str, reference: str, content: bytes, media_type: str) -> bool:
        """Write a manifest under a tag or its digest, and read it back. The blobs that it names must be there.

        Returns:
            Whether the registry lists it among the referrers of its subject.

        Raises:
            DamagedError: The registry stored something else, or somebody else wrote to the same tag.
        """
        what = f"{repository}{'@' if is_digest(reference) else ':'}{reference}"
        headers = {"Content-Type": media_type}
        path = f"{repository}/manifests/{reference}"
        with self._client.request("PUT", repository, path, what, headers=headers, body=content) as answer:
            _expect_created(self.title, what, answer.status)
            is_listed = "OCI-Subject" in answer.headers
        stored = None
        for pause in _LOOKS:
            time.sleep(pause)
            stored = self.image_at(repository, reference)
            if stored and stored[0] == digest(content):
                return is_listed
        raise DamagedError(
            f"{self.title} accepted {what} with the digest {digest(content)}, but returns "
            f"{stored[0] if stored else 'nothing'} for it"
        )


class _Body:
    """A body of known size, so that it is sent with a length and not in HTTP's chunks."""

    def __init__(self, chunks: Iterable[bytes], size: int, progress: Progress) -> None:
        self._chunks, self._size, self._progress = chunks, size, progress
        self._sent = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        end = time.monotonic() + seconds_for(self._size)
        if self._sent:
            self._progress(-self._sent)
        self._sent = 0
        for chunk in self._chunks:
            yield chunk
            self._sent += len(chunk)
            self._progress(len(chunk))
            if time.monotonic() > end:
                raise HttpError(f"it took only {self._sent} bytes in {seconds_for(self._size):.0f} seconds")


def _expect_created(title: str, what: str, status: int) -> None:
    if status not in {HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT, HTTPStatus.OK}:
        raise EngineError(f"{title} answered {what} with HTTP status {status}; expected 201")
