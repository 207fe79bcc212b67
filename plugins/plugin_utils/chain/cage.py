# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a tier's build container may do: little, unless the tier asks for more in ``tier_cage``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ChainError

#: What installing packages needs and no more (measured: apache2, php-fpm and mariadb-server install with these).
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")

#: What may be asked for besides. Engines give these to every container unless they are told not to; none of them
#: reaches beyond the container.
MORE_CAPABILITIES = (
    "AUDIT_WRITE",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETPCAP",
    "SYS_CHROOT",
)

#: Why others are refused, for those that people ask for (capabilities(7)).
_REFUSED = {
    "ALL": "it is everything at once",
    "BPF": "it loads programs into the kernel",
    "DAC_READ_SEARCH": "it opens any file of the engine's machine by its handle",
    "NET_ADMIN": "it changes the network that others use",
    "PERFMON": "it reads what other processes do",
    "SYS_ADMIN": "it is as good as root on the engine's machine",
    "SYS_BOOT": "it restarts the engine's machine",
    "SYS_MODULE": "it loads code into the kernel",
    "SYS_PTRACE": "it reads and changes other processes",
    "SYS_RAWIO": "it reads and writes the engine's memory and disks",
    "SYS_TIME": "it sets the clock of the engine's machine",
}

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(\d{1,15})([kmgt]?)b?")

#: A shell and an interpreter need this much.
_LEAST_MEMORY = 64 << 20
_LEAST_PROCESSES = 32

#: More no engine takes: pid_max of Linux, and what a size can be on machines of these years.
_MOST_MEMORY = 64 << 40
_MOST_PROCESSES = 1 << 22


@dataclass(frozen=True, slots=True)
class Cage:
    """The limits of one build container."""

    #: Capabilities beyond :data:`CAPABILITIES`, sorted.
    capabilities: tuple[str, ...] = ()
    #: Bytes of memory, swap included.
    memory: int = 4 << 30
    #: Processes and threads at once.
    pids: int = 4096

    @property
    def asked(self) -> str:
        """What was asked for beyond the usual, for plan and history: ``capabilities KILL, NET_RAW``; else empty."""
        return f"capabilities {', '.join(self.capabilities)}" if self.capabilities else ""


def read_cage(tier: str, said: Mapping[str, Any] | None) -> Cage:
    """Read a tier's checked ``tier_cage``; what it leaves out is as everywhere.

    Raises:
        ChainError: A capability reaches beyond the container, or a limit is none that a build can live with.
    """
    said = {key: value for key, value in (said or {}).items() if value is not None}
    usual = Cage()
    return Cage(
        capabilities=_capabilities(tier, said.get("capabilities", ())),
        memory=_memory(tier, said["memory"]) if "memory" in said else usual.memory,
        pids=_pids(tier, said["pids"]) if "pids" in said else usual.pids,
    )


def _capabilities(tier: str, asked: Sequence[str]) -> tuple[str, ...]:
    names = {name.upper().removeprefix("CAP_") for name in asked}
    for name in sorted(names.difference(CAPABILITIES, MORE_CAPABILITIES)):
        reason = _REFUSED.get(name, "no such capability is known to be safe")
        raise ChainError(
            f"tier {tier!r}: tier_cage.capabilities has {name!r}, which no build container gets: {reason}; these may "
            f"be asked for: {', '.join(MORE_CAPABILITIES)}"
        )
    return tuple(sorted(names.difference(CAPABILITIES)))


def _memory(tier: str, text: str) -> int:
    match = _SIZE.fullmatch(text.strip().lower())
    size = int(match[1]) * _UNITS[match[2]] if match else 0
    if not _LEAST_MEMORY <= size <= _MOST_MEMORY:
        raise ChainError(
            f"tier {tier!r}: tier_cage.memory is {text!r}; expected a size such as 512m or 2g, from 64m to 64t"
        )
    return size


def _pids(tier: str, count: int) -> int:
    if not _LEAST_PROCESSES <= count <= _MOST_PROCESSES:
        raise ChainError(
            f"tier {tier!r}: tier_cage.pids is {count}; expected a number of processes, from {_LEAST_PROCESSES} to "
            f"{_MOST_PROCESSES}"
        )
    return count
