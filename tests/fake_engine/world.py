"""The content of a fake engine: its images, names, containers, volumes and networks."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.names import familiar_name
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.api_errors import MissingError, RefusedError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.image_ids import ImageNames
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import HistoryEntry
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import DOCKER

if TYPE_CHECKING:
    from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.session import EngineSession


@dataclass
class Node:
    """A file, link or folder. A folder has neither content nor target."""

    content: bytes | None = None
    target: str | None = None
    changed: int = 0


@dataclass
class StoredImage:
    labels: dict[str, str] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    #: The newest entry comes first.
    history: list[HistoryEntry] = field(default_factory=list)
    size: int = 1
    created: int = 0
    architecture: str = "amd64"
    #: The loaded configuration document; empty if the image was made up.
    document: bytes = b""


@dataclass
class StoredContainer:
    id: str
    name: str
    image: str
    labels: dict[str, str] = field(default_factory=dict)
    #: `created`, `running`, `paused` or `exited`.
    state: str = "running"
    exit_code: int = 0
    command: tuple[str, ...] = ()
    user: str = ""
    log: str = ""
    health: str | None = None
    #: Exit status after SIGTERM; `None` if there is no handler for it.
    on_term: int | None = None
    mounts: tuple[str, ...] = ()
    volumes: frozenset[str] = frozenset()
    networks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: dict[str, Node] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)

    @property
    def runs(self) -> bool:
        return self.state in {"running", "paused"}


@dataclass
class World:
    images: dict[str, StoredImage] = field(default_factory=dict)
    #: Image IDs by name with tag, in the form that users write.
    names: dict[str, str] = field(default_factory=dict)
    containers: dict[str, StoredContainer] = field(default_factory=dict)
    #: Labels by name.
    volumes: dict[str, dict[str, str]] = field(default_factory=dict)
    #: Name and labels by ID.
    networks: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    #: Content of layers by digest.
    layers: dict[str, bytes] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def add(
        self,
        image: str,
        labels: Mapping[str, str] | None = None,
        *names: str,
        created_by: str = "",
        layer_size: int = 1,
        **fields: Any,
    ) -> StoredImage:
        """Add an image.

        Args:
            image: Its ID.
            labels: Its labels.
            names: Its names, with tags.
            created_by: What made it, in the newest entry of its history.
            layer_size: Bytes of the newest layer.
            fields: Other fields of `StoredImage`.
        """
        labels = dict(labels or {})
        history = [HistoryEntry(created_by, "", 0, layer_size)]
        stored = StoredImage(labels, config={"Labels": labels}, history=history, **fields)
        self.images[image] = stored
        self.names.update(dict.fromkeys(map(familiar_name, names), image))
        return stored

    def add_container(self, identifier: str, labels: Mapping[str, str], image: str = "") -> StoredContainer:
        """Add a running container."""
        container = self.containers[identifier] = StoredContainer(identifier, identifier, image, dict(labels))
        return container

    def add_network(self, network: str, labels: Mapping[str, str]) -> None:
        """Add a network."""
        self.networks[network] = network, dict(labels)

    def names_of(self, image: str) -> list[str]:
        return [name for name, image_id in self.names.items() if image_id == image]

    def image_of(self, reference: str) -> str | None:
        """The ID of the image with this name, or with an ID that begins with `reference`; `None` if there is none."""
        if (image := self.names.get(familiar_name(reference))) is not None:
            return image
        if reference in self.images:
            return reference
        digits = reference.removeprefix("sha256:")
        if len(digits) < 12:
            return None
        matches = [image_id for image_id in self.images if image_id.removeprefix("sha256:").startswith(digits)]
        return matches[0] if len(matches) == 1 else None

    def image(self, reference: str, doing: str) -> str:
        """The same, if the image must exist.

        Raises:
            MissingError: It does not.
        """
        image = self.image_of(reference)
        if image is None:
            raise MissingError(f"{doing}: the engine says: No such image: {reference}")
        return image

    def container(self, name: str, doing: str) -> StoredContainer:
        """The container with this name, or with an ID that begins with `name`.

        Raises:
            MissingError: It does not exist.
        """
        for container in self.containers.values():
            if name in {container.id, container.name} or (len(name) >= 12 and container.id.startswith(name)):
                return container
        raise MissingError(f"{doing}: the engine says: No such container: {name}")


#: The naming of an engine that names images by their IDs.
PLAIN = ImageNames(cast("EngineSession", SimpleNamespace(address="")), lambda: DOCKER)


class NoSession:
    """Replaces the session of a real engine. A method that the fake does not implement fails here."""

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(f"the fake engine does not implement this call ({name})")


def no_session() -> Any:
    """A replacement for a session, of any type."""
    return NoSession()


def rejection(message: str, status: int) -> RefusedError:
    error = RefusedError(message)
    error.status = status
    return error


def has_label(labels: Mapping[str, str], label: str) -> bool:
    name, equals, value = label.partition("=")
    return name in labels and (not equals or labels[name] == value)


def engine_call(method: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a method as a call to the engine: `FakeEngine.intercept` decides whether it is executed."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._engine.intercept(lambda: method(self, *args, **kwargs))

    return call
