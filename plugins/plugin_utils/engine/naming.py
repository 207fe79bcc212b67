# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine calls an image, and what the rest of this project does.

Everywhere outside this room, an image's ID is the digest of its configuration, which names its layers: equal for equal
images on every engine. Docker with its own store and Podman call an image so too. Docker with containerd's store calls
it by the digest of its manifest, or of an index of manifests, which depend on how its layers are packed as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import EngineError
from .kind import Kind
from .manifests import Manifests
from .session import Session

#: What begins the names of all labels of this project.
_OURS = "io.tierwright."

#: An image's ID, or the beginning of one, as people write it.
_DIGITS = re.compile(r"(?:sha256:)?([0-9a-f]{12,64})")


class Naming:
    """Names of one engine's images; threads may share it."""

    def __init__(self, session: Session, kind: Callable[[], Kind]) -> None:
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
