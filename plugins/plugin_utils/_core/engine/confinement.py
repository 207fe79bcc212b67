# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a build container is confined, as the engine is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..chain.tier import CAPABILITIES, Cage
from .system import System

#: Where Ansible keeps its files in a build container. /dev is the container's own tmpfs, so that neither the files
#: nor the mount point reach the layer (measured: `docker diff` stays empty).
REMOTE_TMP = "/dev/tierwright"

#: Folders that hold what the package manager downloads, per family of distributions. Each gets a nameless volume
#: that lives as long as the build container: their content never reaches the layer.
SCRATCH = {"debian": ("/var/cache/apt", "/var/lib/apt/lists")}

#: Settings that limit what an engine may be unable to limit.
_LIMITS = {"memory": ("mem_limit", "memswap_limit"), "processes": ("pids_limit",)}


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a build container may do and see."""

    #: What the tier's build container may do.
    cage: Cage
    #: Family of the distribution inside (``"debian"``); ``None`` where it is not known.
    family: str | None
    #: What is mounted besides, as the Engine API writes it.
    mounts: tuple[Mapping[str, Any], ...] = ()
    #: Limits that the engine has no means for.
    unlimited: frozenset[str] = frozenset()


def host_config(confined: Confinement) -> dict[str, Any]:
    """Keyword arguments for the SDK's ``create_host_config``."""
    cage = confined.cage
    scratch = [{"Type": "volume", "Target": path} for path in SCRATCH.get(confined.family or "", ())]
    settings = {
        "cap_drop": ["ALL"],
        "cap_add": [*CAPABILITIES, *cage.capabilities],
        "security_opt": ["no-new-privileges"],
        "mem_limit": cage.memory,
        "memswap_limit": cage.memory,
        "pids_limit": cage.pids,
        "mounts": [*scratch, *confined.mounts],
        "tmpfs": {REMOTE_TMP: "exec,mode=1777"},
        "privileged": False,
    }
    left_out = {setting for limit in confined.unlimited for setting in _LIMITS[limit]}
    return {key: value for key, value in settings.items() if key not in left_out}


def confined(
    system: System,
    cage: Cage,
    *,
    family: str | None,
    say: Callable[[str], None],
    mounts: Sequence[Mapping[str, Any]] = (),
) -> Confinement:
    """Confine a build container without limits that the engine has no means for.

    Args:
        system: The engine.
        cage: What the tier's build container may do.
        family: Family of the distribution inside.
        say: Called with a line for each limit that is left out.
        mounts: What is mounted besides, as the Engine API writes it.

    Raises:
        EngineError: The engine does not answer.
    """
    unlimited = system.missing_limits()
    for what in unlimited:
        say(f"the engine cannot limit {what}: its control groups do not allow it; the build goes on without")
    return Confinement(cage, family, tuple(mounts), frozenset(unlimited))
