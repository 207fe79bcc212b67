# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manifests of images that an engine keeps in containerd's store, by their digests.

No question to the engine gives one out. What is named by its digest can come from anywhere, though, since it proves
itself: from what this user has seen before, from the store's own files where they are on this machine, and else from
the archive that the engine packs of the image, which takes long.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tarfile
import time
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, cast

from .. import user_folders
from ..errors import EngineError
from ..whole_file import write_whole
from .session import Session

#: Seconds after which a manifest is forgotten that was seen before: 90 days. It is found again where it is needed.
_KEPT = 90 * 24 * 3600

#: Most bytes of a manifest or an index, as registries have it (OCI distribution specification).
_LARGEST = 4 << 20

_BLOBS = "io.containerd.content.v1.content/blobs/sha256"
#: Where containerd keeps blobs: when Docker starts it, and when the machine does.
_STORES = ("/var/lib/docker/containerd/daemon", "/var/lib/containerd")

#: How a registry marks what is beside an image's own manifests: what was attested of them.
_BESIDE = "vnd.docker.reference.type"


class Manifests:
    """The manifests of one engine's images."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._is_here = session.address.startswith("unix://")
        self._tidied = False

    def find(self, image: str, *, thoroughly: bool) -> Mapping[str, Any] | None:
        """Give the manifest of an image for the engine's own platform.

        Args:
            image: What the engine calls it: the digest of its manifest, or of an index of manifests.
            thoroughly: Whether the engine may be made to pack the image.

        Returns:
            The manifest; ``None`` where it cannot be found.

        Raises:
            EngineError: The engine refused, or what it packs is no image.
            EngineUnavailableError: The engine does not answer.
        """
        found = self._document(image, image, thoroughly=thoroughly)
        if found is None or "manifests" not in found:
            return found
        chosen = self._chosen(found)
        return None if chosen is None else self._document(chosen, image, thoroughly=thoroughly)

    def keep(self, manifest: bytes) -> str:
        """Remember a manifest, and give its digest. Where it cannot be written, it is found again another way."""
        name = hashlib.sha256(manifest).hexdigest()
        folder = _folder()
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._tidied:
                self._tidied = True
                _forget_old(folder)
            write_whole(folder / name, manifest)
        return f"sha256:{name}"

    def _document(self, digest: str, image: str, *, thoroughly: bool) -> Mapping[str, Any] | None:
        name = digest.removeprefix("sha256:")
        content = _read(_folder() / name, name)
        if content is None:
            stores = [Path(store, _BLOBS, name) for store in _STORES] if self._is_here else []
            content = next((found for each in stores if (found := _read(each, name)) is not None), None)
            if content is None and thoroughly:
                content = self._packed(name, image)
            if content is None:
                return None
            self.keep(content)
        try:
            told = json.loads(content)
        except (ValueError, RecursionError):
            return None
        return told if isinstance(told, dict) else None

    def _packed(self, name: str, image: str) -> bytes | None:
        """Look for a document in the archive of an image, which is read no further than that."""
        try:
            with (
                self._session.http.stream(f"/images/{image}/get") as answer,
                tarfile.open(fileobj=cast("IO[bytes]", answer), mode="r|") as tar,
            ):
                for member in tar:
                    if member.name == f"blobs/sha256/{name}" and member.isreg() and member.size <= _LARGEST:
                        file = tar.extractfile(member)
                        return _proven(file.read(), name) if file else None
        except (tarfile.TarError, EOFError, HTTPException) as error:
            raise EngineError(f"reading image {image}: what the engine packs is damaged ({error})") from error
        return None

    def _chosen(self, index: Mapping[str, Any]) -> str | None:
        """Choose what the engine would run: the manifest for its platform, of those that describe an image."""
        version = self._session.http.json("/version")
        wanted = version.get("Os"), version.get("Arch")
        for each in index["manifests"]:
            platform, notes = each.get("platform") or {}, each.get("annotations") or {}
            if (platform.get("os"), platform.get("architecture")) == wanted and _BESIDE not in notes:
                return str(each["digest"])
        return None


def _folder() -> Path:
    return user_folders.cache() / "manifests"


def _read(path: Path, name: str) -> bytes | None:
    with contextlib.suppress(OSError):
        if path.stat().st_size <= _LARGEST:
            return _proven(path.read_bytes(), name)
    return None


def _proven(content: bytes, name: str) -> bytes | None:
    return content if hashlib.sha256(content).hexdigest() == name else None


def _forget_old(folder: Path) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # somebody else was quicker
            if time.time() - path.stat().st_mtime > _KEPT:
                path.unlink()
