# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The confinement of a build container, in the terms of the Engine API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ..chain.tier import CAPABILITIES, Cage
from .system import System

#: Folder for Ansible's temporary files in a build container. /dev is a tmpfs of the container, so neither the files nor
#: the mount point become part of the layer (measured: `docker diff` stays empty).
REMOTE_TMP = "/dev/tierwright"

#: Family of distributions to the folders for downloads of its package manager. Each folder gets an anonymous volume
#: that is removed with the build container, so its content never becomes part of the layer.
SCRATCH = {"debian": ("/var/cache/apt", "/var/lib/apt/lists")}

#: Name of a limit to the settings for it. An engine may not support them.
_LIMITS = {"memory": ("mem_limit", "memswap_limit"), "processes": ("pids_limit",)}


class Confinement(msgspec.Struct, frozen=True):
    """The limits and mounts of a build container."""

    #: Capabilities and limits of the tier.
    cage: Cage
    #: Family of its distribution (``"debian"``); ``None`` if it is not known.
    family: str | None
    #: Additional mounts, in the format of the Engine API.
    mounts: tuple[Mapping[str, Any], ...] = ()
    #: Limits that the engine does not support.
    unlimited: frozenset[str] = frozenset()


def host_config(confined: Confinement) -> dict[str, Any]:
    """Return the keyword arguments for ``create_host_config`` of the SDK."""
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
    unsupported = {setting for limit in confined.unlimited for setting in _LIMITS[limit]}
    return {key: value for key, value in settings.items() if key not in unsupported}


def confined(
    system: System,
    cage: Cage,
    *,
    family: str | None,
    say: Callable[[str], None],
    mounts: Sequence[Mapping[str, Any]] = (),
) -> Confinement:
    """Make the confinement of a build container, without limits that the engine does not support.

    Args:
        system: The engine.
        cage: Capabilities and limits of the tier.
        family: Family of the distribution in the container.
        say: Called with a warning for each limit that the engine does not support.
        mounts: Additional mounts, in the format of the Engine API.

    Raises:
        EngineError: The engine does not answer.
    """
    unlimited = system.missing_limits()
    for limit in unlimited:
        say(f"the engine cannot limit {limit}: its control groups do not allow it; the build continues without it")
    return Confinement(cage, family, tuple(mounts), frozenset(unlimited))
