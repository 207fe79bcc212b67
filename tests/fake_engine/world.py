"""What a fake engine holds, and the rules by which it lets go of it."""

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
    """Something in a file system: a folder has neither content nor target."""

    content: bytes | None = None
    target: str | None = None
    changed: int = 0


@dataclass
class HeldImage:
    labels: dict[str, str] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    #: The newest first.
    history: list[HistoryEntry] = field(default_factory=list)
    size: int = 1
    created: int = 0
    architecture: str = "amd64"
    #: What it was loaded as; empty for one that was made up.
    document: bytes = b""


@dataclass
class HeldContainer:
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
    #: Status with which it ends when it is asked to; none where it does not listen.
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
    images: dict[str, HeldImage] = field(default_factory=dict)
    #: Image IDs by name with tag, as people write it.
    names: dict[str, str] = field(default_factory=dict)
    containers: dict[str, HeldContainer] = field(default_factory=dict)
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
        by: str = "",
        own: int = 1,
        **more: Any,
    ) -> HeldImage:
        """Hold an image of this ID.

        Args:
            image: Its ID.
            labels: Its labels.
            names: Names with tags that it gets.
            by: What made it, as the newest entry of its history says.
            own: Bytes of the layer that came with that.
            more: Other fields of `HeldImage`.
        """
        labels = dict(labels or {})
        made = HeldImage(labels, config={"Labels": labels}, history=[HistoryEntry(by, "", 0, own)], **more)
        self.images[image] = made
        self.names.update(dict.fromkeys(map(familiar_name, names), image))
        return made

    def run(self, identifier: str, labels: Mapping[str, str], image: str = "") -> HeldContainer:
        """Hold a container that runs."""
        made = self.containers[identifier] = HeldContainer(identifier, identifier, image, dict(labels))
        return made

    def connect(self, network: str, labels: Mapping[str, str]) -> None:
        """Hold a network."""
        self.networks[network] = network, dict(labels)

    def names_of(self, image: str) -> list[str]:
        return [name for name, each in self.names.items() if each == image]

    def image_of(self, reference: str) -> str | None:
        """ID of the image that a name, an ID or the beginning of one means."""
        if (named := self.names.get(familiar_name(reference))) is not None:
            return named
        if reference in self.images:
            return reference
        digits = reference.removeprefix("sha256:")
        found = [each for each in self.images if len(digits) >= 12 and each.removeprefix("sha256:").startswith(digits)]
        return found[0] if len(found) == 1 else None

    def image(self, reference: str, doing: str) -> str:
        """The same of an image that is there.

        Raises:
            MissingError: It is not.
        """
        found = self.image_of(reference)
        if found is None:
            raise MissingError(f"{doing}: the engine says: No such image: {reference}")
        return found

    def container(self, name: str, doing: str) -> HeldContainer:
        """A container by name, ID, or the beginning of one.

        Raises:
            MissingError: It is not there.
        """
        for each in self.containers.values():
            if name in {each.id, each.name} or (len(name) >= 12 and each.id.startswith(name)):
                return each
        raise MissingError(f"{doing}: the engine says: No such container: {name}")


#: Calls images by their IDs.
PLAIN = ImageNames(cast("EngineSession", SimpleNamespace(address="")), lambda: DOCKER)


class Unknown:
    """Stands where a real engine's session is: a method that is missing in the fake must not pass for an answer."""

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(f"the fake engine lacks what was asked for ({name})")


def unasked() -> Any:
    """Give what stands for a session, of any type."""
    return Unknown()


def refused(message: str, status: int) -> RefusedError:
    error = RefusedError(message)
    error.status = status
    return error


def carries(labels: Mapping[str, str], label: str) -> bool:
    name, equals, value = label.partition("=")
    return name in labels and (not equals or labels[name] == value)


def asked(method: Callable[..., Any]) -> Callable[..., Any]:
    """A call to the engine: it goes through the gate of whoever makes it."""

    @functools.wraps(method)
    def ask(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._engine.gate(lambda: method(self, *args, **kwargs))

    return ask
