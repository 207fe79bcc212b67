"""The contenders: their settings for Ansible, and their requirements."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

WORK = ("command", "copy")


class Place(Enum):
    """Where the tasks of a contender run."""

    #: A build container, started through the library.
    BUILD = "build"
    #: The same behind a relay, like with a remote engine.
    REMOTE_BUILD = "remote build"
    #: Any container with the same image and limits.
    PLAIN = "plain"
    #: The same container, reached through the relay.
    REMOTE_PLAIN = "remote plain"
    #: The controller.
    CONTROLLER = "controller"

    @property
    def remote(self) -> bool:
        """Whether the engine is reached over TCP."""
        return self in (Place.REMOTE_BUILD, Place.REMOTE_PLAIN)

    @property
    def build(self) -> bool:
        """Whether this is a build container."""
        return self in (Place.BUILD, Place.REMOTE_BUILD)


@dataclass(frozen=True)
class Contender:
    """One way to run tasks."""

    name: str
    #: `ansible_connection`.
    connection: str
    place: Place
    #: Additional variables of the host.
    variables: Mapping[str, Any] = field(default_factory=dict)
    #: Task lists that it runs.
    lists: tuple[str, ...] = WORK
    #: Requirements: `docker` (the command), `community.docker`, `mitogen`.
    needs: tuple[str, ...] = ()
    strategy: str = "linear"


_PLAIN = {"ansible_pipelining": False}
_PIPELINED = {"ansible_pipelining": True}
_API = "community.docker.docker_api"
_CLI = "community.docker.docker"

TIER = "tier"
TIER_TCP = "tier-tcp"
API_PIPELINED = "docker_api-pipelined"
API_PIPELINED_TCP = "docker_api-pipelined-tcp"
MITOGEN = "mitogen"
LOCAL_PIPELINED = "local-pipelined"
FLOOR = "controller-floor"

CONTENDERS = (
    Contender(TIER, "tierwright.chain.tier", Place.BUILD),
    Contender(TIER_TCP, "tierwright.chain.tier", Place.REMOTE_BUILD),
    Contender("docker_api", _API, Place.PLAIN, _PLAIN, needs=("community.docker",)),
    Contender(API_PIPELINED, _API, Place.PLAIN, _PIPELINED, needs=("community.docker",)),
    Contender(API_PIPELINED_TCP, _API, Place.REMOTE_PLAIN, _PIPELINED, needs=("community.docker",)),
    Contender("docker", _CLI, Place.PLAIN, _PLAIN, needs=("community.docker", "docker")),
    Contender("docker-pipelined", _CLI, Place.PLAIN, _PIPELINED, needs=("community.docker", "docker")),
    # Mitogen's strategy replaces this connection by its own.
    Contender(MITOGEN, "docker", Place.PLAIN, needs=("mitogen", "docker"), strategy="mitogen_linear"),
    Contender("local", "local", Place.CONTROLLER, _PLAIN),
    Contender(LOCAL_PIPELINED, "local", Place.CONTROLLER, _PIPELINED),
    Contender(FLOOR, "local", Place.CONTROLLER, lists=("debug",)),
    Contender(
        f"{FLOOR}-mitogen", "local", Place.CONTROLLER, lists=("debug",), needs=("mitogen",), strategy="mitogen_linear"
    ),
)

_MISSING = {
    "docker": "the docker command is not installed",
    "community.docker": "the collection community.docker is not installed",
    "mitogen": "mitogen is not installed",
    "relay": "the engine has no local socket for the relay",
}


def missing(contender: Contender, *, relay: bool) -> str | None:
    """Why a contender cannot run here; ``None`` if it can.

    Args:
        contender: The contender.
        relay: Whether a relay is possible.
    """
    available = {
        "docker": shutil.which("docker") is not None,
        "community.docker": _importable("ansible_collections.community.docker"),
        "mitogen": _importable("ansible_mitogen"),
        "relay": relay,
    }
    needs = (*contender.needs, *(["relay"] if contender.place.remote else []))
    return "; ".join(_MISSING[need] for need in needs if not available[need]) or None


def strategy_environment(contender: Contender) -> dict[str, str]:
    """Environment variables that make Ansible use the strategy of the contender."""
    if contender.strategy == "linear":
        return {}
    spec = importlib.util.find_spec("ansible_mitogen")
    if spec is None or spec.origin is None:
        return {}
    folder = Path(spec.origin).parent / "plugins" / "strategy"
    return {"ANSIBLE_STRATEGY": contender.strategy, "ANSIBLE_STRATEGY_PLUGINS": str(folder)}


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
