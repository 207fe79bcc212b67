# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Translation between image IDs and the names that the engine uses for images.

Outside this package, an image ID is the digest of the configuration of an image. The configuration names the layers, so
equal images have equal IDs on every engine. Podman, and Docker with its own store, use the same IDs. Docker with
containerd's store uses the digest of the manifest, or of an index of manifests. This digest also depends on how the
layers are compressed.

To translate, the manifest is needed, but the Engine API does not return it. A manifest is checked against its digest,
so it may come from any source: from the cache of this user, from the files of containerd's store if they are on this
machine, or from the archive that the engine packs of the image. The last one takes long.
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
from ..local_files import write_atomically
from .session import EngineSession
from .system import EngineKind

#: Seconds after which a cached manifest is removed: 90 days. It is found again when it is needed.
_MAX_AGE = 90 * 24 * 3600

#: Maximum size of a manifest or an index in bytes, the limit of registries (OCI distribution specification).
_MAX_SIZE = 4 << 20

_BLOBS = "io.containerd.content.v1.content/blobs/sha256"
#: Root folders of containerd: if Docker starts it, and if the machine starts it.
_STORES = ("/var/lib/docker/containerd/daemon", "/var/lib/containerd")

#: Annotation of the manifests in an index that do not describe an image but an attestation about one.
_ATTESTATION = "vnd.docker.reference.type"


class Manifests:
    """Manifests of the images of one engine, by digest."""

    def __init__(self, session: EngineSession) -> None:
        self._session = session
        self._is_local = session.address.startswith("unix://")
        self._removed_old = False

    def find(self, image: str, *, thoroughly: bool) -> Mapping[str, Any] | None:
        """Return the manifest of an image for the platform of the engine.

        Args:
            image: The engine's name of the image: the digest of its manifest, or of an index of manifests.
            thoroughly: Whether to let the engine pack the image if the manifest is not found elsewhere.

        Returns:
            The manifest; ``None`` if it cannot be found.

        Raises:
            EngineError: The engine rejected a request, or the archive that it packs is damaged.
            EngineUnavailableError: The engine does not answer.
        """
        document = self._document(image, image, thoroughly=thoroughly)
        if document is None or "manifests" not in document:
            return document
        digest = self._choose_manifest(document)
        return None if digest is None else self._document(digest, image, thoroughly=thoroughly)

    def keep(self, manifest: bytes) -> str:
        """Cache a manifest, and return its digest. An error while writing the cache is ignored."""
        name = hashlib.sha256(manifest).hexdigest()
        folder = _folder()
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._removed_old:
                self._removed_old = True
                _remove_old(folder)
            write_atomically(folder / name, manifest)
        return f"sha256:{name}"

    def _document(self, digest: str, image: str, *, thoroughly: bool) -> Mapping[str, Any] | None:
        name = digest.removeprefix("sha256:")
        content = _read(_folder() / name, name)
        if content is None:
            candidates = [Path(store, _BLOBS, name) for store in _STORES] if self._is_local else []
            content = next((blob for path in candidates if (blob := _read(path, name)) is not None), None)
            if content is None and thoroughly:
                content = self._read_from_archive(name, image)
            if content is None:
                return None
            self.keep(content)
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None

    def _read_from_archive(self, name: str, image: str) -> bytes | None:
        """Look for a document in the archive of an image. The rest of the archive is not read."""
        try:
            with (
                self._session.http.stream(f"/images/{image}/get") as answer,
                tarfile.open(fileobj=cast("IO[bytes]", answer), mode="r|") as tar,
            ):
                for member in tar:
                    if member.name == f"blobs/sha256/{name}" and member.isreg() and member.size <= _MAX_SIZE:
                        file = tar.extractfile(member)
                        return _verify(file.read(), name) if file else None
        except (tarfile.TarError, EOFError, HTTPException) as error:
            raise EngineError(
                f"reading image {image}: the archive that the engine packs is damaged ({error})"
            ) from error
        return None

    def _choose_manifest(self, index: Mapping[str, Any]) -> str | None:
        """Return the digest of the image manifest for the platform of the engine; ``None`` if there is none."""
        version = self._session.http.json("/version")
        wanted = version.get("Os"), version.get("Arch")
        for entry in index["manifests"]:
            platform, annotations = entry.get("platform") or {}, entry.get("annotations") or {}
            if (platform.get("os"), platform.get("architecture")) == wanted and _ATTESTATION not in annotations:
                return str(entry["digest"])
        return None


def _folder() -> Path:
    return local_files.cache() / "manifests"


def _read(path: Path, name: str) -> bytes | None:
    with contextlib.suppress(OSError):
        if path.stat().st_size <= _MAX_SIZE:
            return _verify(path.read_bytes(), name)
    return None


def _verify(content: bytes, name: str) -> bytes | None:
    return content if hashlib.sha256(content).hexdigest() == name else None


def _remove_old(folder: Path) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # a different process removed it first
            if time.time() - path.stat().st_mtime > _MAX_AGE:
                path.unlink()


#: Prefix of the names of all labels of this project.
_LABEL_PREFIX = "io.tierwright."

#: An image ID, or the beginning of one.
_DIGITS = re.compile(r"(?:sha256:)?([0-9a-f]{12,64})")


class ImageNames:
    """Image IDs and engine names of the images of one engine. Threads may share it."""

    def __init__(self, session: EngineSession, kind: Callable[[], EngineKind]) -> None:
        """Use this session, and this function that returns the engine's kind."""
        self._session, self._kind = session, kind
        self._manifests = Manifests(session)
        #: Image ID by engine name, and engine name by image ID.
        self._ids: dict[str, str] = {}
        self._engine_names: dict[str, str] = {}
        #: Descriptors of the stored layers, by engine name.
        self._layers: dict[str, Sequence[Mapping[str, Any]]] = {}

    @property
    def uses_manifest_digests(self) -> bool:
        """Whether the engine's names of images are digests of manifests, not image IDs.

        Raises:
            EngineError: The engine does not answer.
        """
        return self._kind().names_manifests

    def image_id(self, engine_name: str) -> str:
        """Return the ID of an image that is on the engine.

        Args:
            engine_name: The engine's name of the image.

        Raises:
            EngineError: The engine rejected a request, or does not have a manifest of the image for its platform.
        """
        image_id = self._find_id(engine_name, thoroughly=True)
        if image_id is None:
            raise EngineError(
                f"image {engine_name}: the engine has no manifest of it for its own platform; pull or load it again"
            )
        return image_id

    def listed_id(self, engine_name: str, labels: Mapping[str, str] | None) -> str:
        """Return the ID of an image in a list.

        For an image that does not belong to a chain, the engine name is returned if the ID is not found quickly.

        Args:
            engine_name: The engine's name of the image.
            labels: Labels of the image, or of a container of it.

        Raises:
            EngineError: The engine rejected the request.
        """
        is_of_a_chain = any(name.startswith(_LABEL_PREFIX) for name in labels or ())
        return self._find_id(engine_name, thoroughly=is_of_a_chain) or engine_name

    def engine_name(self, image: str) -> str:
        """Return the engine's name of an image. Other names, and unknown IDs, are returned unchanged.

        Args:
            image: A name, an ID, or the beginning of one.

        Raises:
            EngineError: The engine does not answer.
        """
        digits = _DIGITS.fullmatch(image)
        if digits is None or not self.uses_manifest_digests:
            return image
        wanted = f"sha256:{digits[1]}"
        if wanted in self._engine_names:
            return self._engine_names[wanted]
        matches = {name: image_id for name, image_id in self._list_ids().items() if image_id.startswith(wanted)}
        return next(iter(matches)) if len(set(matches.values())) == 1 else image

    def forget(self, engine_name: str) -> bool:
        """Forget an image that the engine does not have any more. Returns whether it was known."""
        image_id = self._ids.pop(engine_name, None)
        return self._engine_names.pop(image_id or "", None) is not None

    def note_loaded(self, manifest: bytes) -> str:
        """Remember the manifest of an image that was loaded into the engine, and return the image ID."""
        document = json.loads(manifest)
        if self.uses_manifest_digests:
            self._note(self._manifests.keep(manifest), document)
        return str(document["config"]["digest"])

    def manifest(self, image: str) -> Mapping[str, Any] | None:
        """Return the manifest of an image, by its ID or name; ``None`` if the engine does not store manifests.

        Raises:
            EngineError: The engine rejected the request.
        """
        return self._manifests.find(self.engine_name(image), thoroughly=True) if self.uses_manifest_digests else None

    def size(self, engine_name: str, reported: int) -> int:
        """Return the size of the unpacked layers of an image, in bytes.

        With containerd's store, the size that the engine reports also contains the size of the blobs.

        Args:
            engine_name: The engine's name of the image.
            reported: The size that the engine reports in its list, in bytes.
        """
        self._find_id(engine_name, thoroughly=False)
        layers = self._layers.get(engine_name, ())
        blobs = sum(int(layer.get("size") or 0) for layer in layers)
        if not layers or blobs > reported:
            return reported
        are_unpacked = all(str(layer.get("mediaType", "")).endswith(".tar") for layer in layers)
        return blobs if are_unpacked else reported - blobs

    def _list_ids(self) -> dict[str, str]:
        """Return the IDs of all images on the engine, by engine name."""
        return {
            str(entry["Id"]): self.listed_id(str(entry["Id"]), entry.get("Labels"))
            for entry in self._session.http.json("/images/json?all=true")
        }

    def _find_id(self, engine_name: str, *, thoroughly: bool) -> str | None:
        if not self.uses_manifest_digests:
            return engine_name
        if engine_name not in self._ids:
            manifest = self._manifests.find(engine_name, thoroughly=thoroughly)
            config = (manifest or {}).get("config")
            if not isinstance(config, dict) or not isinstance(config.get("digest"), str):
                return None
            self._note(engine_name, manifest or {})
        return self._ids[engine_name]

    def _note(self, engine_name: str, manifest: Mapping[str, Any]) -> None:
        image_id = str(manifest["config"]["digest"])
        self._ids[engine_name], self._engine_names[image_id] = image_id, engine_name
        self._layers[engine_name] = manifest.get("layers") or ()
