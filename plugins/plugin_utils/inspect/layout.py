# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images in a folder that is an OCI image layout, as ``skopeo copy … oci:FOLDER`` or ``buildctl`` write it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..chain.reference import is_digest
from ..errors import DamagedError, NotFoundError
from .document import Document
from .manifests import Blob, Blobs, Manifest, choose, fill, manifests
from .place import Held, merged
from .store import Store
from .stream import Reader

_LARGEST_DOCUMENT = 8 << 20


class Layout(Blobs):
    """An OCI image layout."""

    def __init__(self, location: str, _store: Store) -> None:
        """Take the path of a folder."""
        self.title = f"OCI layout {location}"
        self._folder = Path(location)
        self._manifests: list[Manifest] | None = None

    def held(self, _repository: str = "") -> list[Held]:
        """All its images."""
        return merged(each.held for each in self._all())

    def find(self, reference: str) -> Document:
        """Find an image by the name in its index, or by ID."""
        return choose([each.document for each in self.held()], reference, self.title)

    def fill(self, document: Document, store: Store) -> None:
        """Read the layers that the store lacks."""
        chosen = next(each for each in self._all() if each.document.id == document.id)
        fill(chosen, self._opened, self.title, store)

    def file(self, name: str) -> bytes:
        """A JSON document of the layout."""
        path = self._folder / name
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST_DOCUMENT + 1)
        except OSError as error:
            raise DamagedError(f"{self.title} is damaged: {name} cannot be read ({error.strerror})") from error
        if len(content) > _LARGEST_DOCUMENT:
            raise DamagedError(f"{self.title} is damaged: {name} is larger than any description of an image")
        return content

    def _all(self) -> list[Manifest]:
        if not (self._folder / "index.json").is_file():
            raise NotFoundError(f"{self._folder} is no OCI layout: it has no index.json")
        if self._manifests is None:
            self._manifests = manifests(self)
        return self._manifests

    @contextmanager
    def _opened(self, blob: Blob) -> Iterator[Reader]:
        if not is_digest(blob.digest):
            raise DamagedError(f"{self.title} is damaged: it names layer {blob.digest!r}, expected sha256:…")
        try:
            with (self._folder / "blobs/sha256" / blob.digest.removeprefix("sha256:")).open("rb") as file:
                yield file
        except OSError as error:
            raise DamagedError(f"layer {blob.digest} in {self.title} cannot be read ({error.strerror})") from error
