# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a build container is confined, as the engine is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import docker

from ..chain.cage import CAPABILITIES, Cage
from .client import translated

#: Where Ansible keeps its files in a build container. /dev is the container's own tmpfs, so that neither the files
#: nor the mount point reach the layer (measured: `docker diff` stays empty).
REMOTE_TMP = "/dev/tierwright"

#: Folders that hold what the package manager downloads, per family of distributions. Each gets a nameless volume
#: that lives as long as the build container: their content never reaches the layer.
SCRATCH = {"debian": ("/var/cache/apt", "/var/lib/apt/lists")}

#: The engine's limits, as it calls them when it is asked what it can do and when it is asked to do it.
_LIMITS = {"MemoryLimit": ("memory", ("mem_limit", "memswap_limit")), "PidsLimit": ("processes", ("pids_limit",))}


def host_config(family: str | None, cage: Cage, mounts: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Keyword arguments for the SDK's ``create_host_config``.

    Args:
        family: Family of the distribution inside (``"debian"``), ``None`` where it is not known.
        cage: What the tier's build container may do.
        mounts: What is mounted besides, as the Engine API writes it.
    """
    scratch = [{"Type": "volume", "Target": path} for path in SCRATCH.get(family or "", ())]
    return {
        "cap_drop": ["ALL"],
        "cap_add": [*CAPABILITIES, *cage.capabilities],
        "security_opt": ["no-new-privileges"],
        "mem_limit": cage.memory,
        "memswap_limit": cage.memory,
        "pids_limit": cage.pids,
        "mounts": [*scratch, *mounts],
        "tmpfs": {REMOTE_TMP: "exec,mode=1777"},
        "privileged": False,
    }


def confined(
    client: docker.DockerClient,
    cage: Cage,
    *,
    family: str | None,
    say: Callable[[str], None],
    mounts: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The same without limits that the engine has no means for: a rootless one has none without delegated cgroups.

    Args:
        client: The engine.
        cage: What the tier's build container may do.
        family: As for :func:`host_config`.
        say: Called with a line for each limit that is left out.
        mounts: As for :func:`host_config`.

    Raises:
        EngineError: The engine does not answer.
    """
    with translated("asking the engine for its limits"):
        able = client.api.info()
    left_out: set[str] = set()
    for name, (what, settings) in _LIMITS.items():
        if able.get(name) is False:
            say(f"the engine cannot limit {what}: its control groups do not allow it; the build goes on without")
            left_out.update(settings)
    return {key: value for key, value in host_config(family, cage, mounts).items() if key not in left_out}
