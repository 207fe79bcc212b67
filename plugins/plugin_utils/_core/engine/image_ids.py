# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How an engine names an image, by its store's manifests.

Manifests of images that an engine keeps in containerd's store, by their digests.

No question to the engine gives one out. What is named by its digest can come from anywhere, though, since it proves
itself: from what this user has seen before, from the store's own files where they are on this machine, and else from
the archive that the engine packs of the image, which takes long.

What an engine calls an image, and what the rest of this project does.

Everywhere outside this room, an image's ID is the digest of its configuration, which names its layers: equal for equal
images on every engine. Docker with its own store and Podman call an image so too. Docker with containerd's store calls
it by the digest of its manifest, or of an index of manifests, which depend on how its layers are packed as well.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, cast

from .. import local_files
from ..errors import EngineError
from ..local_files import write_whole
from .session import EngineSession
from .system import EngineKind

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

    def __init__(self, session: EngineSession) -> None:
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
    return local_files.cache() / "manifests"


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


#: What begins the names of all labels of this project.
_OURS = "io.tierwright."

#: An image's ID, or the beginning of one, as people write it.
_DIGITS = re.compile(r"(?:sha256:)?([0-9a-f]{12,64})")


class Naming:
    """Names of one engine's images; threads may share it."""

    def __init__(self, session: EngineSession, kind: Callable[[], EngineKind]) -> None:
        """Take the way to the engine, and what tells its kind."""
        self._session, self._kind = session, kind
        self._manifests = Manifests(session)
        #: IDs by what the engine calls the image, and the other way round.
        self._known: dict[str, str] = {}
        self._called: dict[str, str] = {}
        #: Layers as they are kept, by what the engine calls the image.
        self._layers: dict[str, Sequence[Mapping[str, Any]]] = {}

    @property
    def differs(self) -> bool:
        """Whether the engine calls images otherwise.

        Raises:
            EngineError: The engine does not answer.
        """
        return self._kind().names_manifests

    def ours(self, called: str) -> str:
        """Give the ID of an image that is on the engine.

        Args:
            called: What the engine calls it.

        Raises:
            EngineError: The engine refused, or cannot give the image's configuration.
        """
        found = self._ours(called, thoroughly=True)
        if found is None:
            raise EngineError(
                f"image {called}: the engine holds no manifest of it for its own platform; pull or load it again"
            )
        return found

    def listed(self, called: str, labels: Mapping[str, str] | None) -> str:
        """Give the ID of an image in a list; of one that is nobody's here, what the engine calls it may do.

        Args:
            called: What the engine calls it.
            labels: Its labels, or those of a container of it.

        Raises:
            EngineError: The engine refused.
        """
        is_of_a_chain = any(name.startswith(_OURS) for name in labels or ())
        return self._ours(called, thoroughly=is_of_a_chain) or called

    def theirs(self, image: str) -> str:
        """Give what the engine calls an image; what is no ID of an image that it holds stays as it is.

        Args:
            image: A name, an ID, or the beginning of one.

        Raises:
            EngineError: The engine does not answer.
        """
        digits = _DIGITS.fullmatch(image)
        if digits is None or not self.differs:
            return image
        wanted = f"sha256:{digits[1]}"
        if wanted in self._called:
            return self._called[wanted]
        found = {called: ours for called, ours in self._held().items() if ours.startswith(wanted)}
        return next(iter(found)) if len(set(found.values())) == 1 else image

    def forget(self, called: str) -> bool:
        """Forget what the engine called an image that it does not hold any more; say whether that was known."""
        ours = self._known.pop(called, None)
        return self._called.pop(ours or "", None) is not None

    def loaded(self, manifest: bytes) -> str:
        """Take note of the manifest of an image that the engine was given, and give the image's ID."""
        read = json.loads(manifest)
        if self.differs:
            self._note(self._manifests.keep(manifest), read)
        return str(read["config"]["digest"])

    def manifest(self, image: str) -> Mapping[str, Any] | None:
        """Give the manifest of an image, by its ID or name; ``None`` where the engine has none.

        Raises:
            EngineError: The engine refused.
        """
        return self._manifests.find(self.theirs(image), thoroughly=True) if self.differs else None

    def size(self, called: str, told: int) -> int:
        """Give the bytes of a listed image's layers as they are unpacked; containerd's store counts its blobs besides.

        Args:
            called: What the engine calls it.
            told: What the engine says in its list.
        """
        self._ours(called, thoroughly=False)
        layers = self._layers.get(called, ())
        blobs = sum(int(each.get("size") or 0) for each in layers)
        if not layers or blobs > told:
            return told
        are_unpacked = all(str(each.get("mediaType", "")).endswith(".tar") for each in layers)
        return blobs if are_unpacked else told - blobs

    def _held(self) -> dict[str, str]:
        """IDs of all images that the engine holds, by what it calls them."""
        return {
            str(each["Id"]): self.listed(str(each["Id"]), each.get("Labels"))
            for each in self._session.http.json("/images/json?all=true")
        }

    def _ours(self, called: str, *, thoroughly: bool) -> str | None:
        if not self.differs:
            return called
        if called not in self._known:
            manifest = self._manifests.find(called, thoroughly=thoroughly)
            config = (manifest or {}).get("config")
            if not isinstance(config, dict) or not isinstance(config.get("digest"), str):
                return None
            self._note(called, manifest or {})
        return self._known[called]

    def _note(self, called: str, manifest: Mapping[str, Any]) -> None:
        ours = str(manifest["config"]["digest"])
        self._known[called], self._called[ours] = ours, called
        self._layers[called] = manifest.get("layers") or ()
