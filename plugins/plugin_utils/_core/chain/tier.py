# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One tier, what its build container may do, which paths it protects.

What a tier's build container may do: little, unless the tier asks for more in ``tier_cage``.

Paths that only one tier may write: those that its descendants get from it as they are (``tier_protects``).

One tier: a host of the inventory, as the rest of the library sees it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
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


def read_cage(tier: str, settings: Mapping[str, Any] | None) -> Cage:
    """Read a tier's checked ``tier_cage``; what it leaves out is as everywhere.

    Raises:
        ChainError: A capability reaches beyond the container, or a limit is none that a build can live with.
    """
    settings = {key: value for key, value in (settings or {}).items() if value is not None}
    usual = Cage()
    return Cage(
        capabilities=_capabilities(tier, settings.get("capabilities", ())),
        memory=_memory(tier, settings["memory"]) if "memory" in settings else usual.memory,
        pids=_pids(tier, settings["pids"]) if "pids" in settings else usual.pids,
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


@dataclass(frozen=True, slots=True)
class Protection:
    """What one tier keeps for itself."""

    #: The tier.
    tier: str
    #: The team that owns it.
    team: str
    #: Patterns of paths, without a slash at either end.
    paths: tuple[str, ...]


def read_paths(name: str, variable: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Read the patterns of a tier.

    Args:
        name: The tier, for messages.
        variable: Where they come from, for messages.
        paths: The patterns; a slash at either end has no meaning.

    Returns:
        Each pattern once, sorted.

    Raises:
        ChainError: One names no path below the root, or names it by a detour: it would protect nothing.
    """
    found = set()
    for pattern in paths:
        parts = pattern.strip("/").split("/")
        if "\0" in pattern or {"", ".", ".."} & set(parts):
            raise ChainError(
                f"tier {name!r}: {variable} has {pattern!r}; expected a path below the root, or a pattern of paths, "
                "without '.', '..' and double slashes: /etc/ssl, /etc/cron.*"
            )
        found.add("/".join(parts))
    return tuple(sorted(found))


def to_text(protections: Iterable[Protection]) -> str:
    """Write protections for a label; empty where there is none."""
    listed = [asdict(each) for each in protections if each.paths]
    return json.dumps(listed, sort_keys=True, separators=(",", ":")) if listed else ""


def from_text(text: str) -> tuple[Protection, ...]:
    """Read what :func:`to_text` wrote.

    Raises:
        ValueError: It is something else.
    """
    try:
        listed = [(each["tier"], each["team"], each["paths"]) for each in json.loads(text)] if text else []
        return tuple(Protection(str(tier), str(team), tuple(map(str, paths))) for tier, team, paths in listed)
    except (KeyError, TypeError) as error:
        raise ValueError(text) from error


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A base made from a Debian archive with mmdebstrap."""

    #: Code name or suite: ``bookworm``.
    suite: str
    #: Archive sections.
    components: tuple[str, ...] = ("main",)
    #: Packages on top of the essential ones and apt.
    packages: tuple[str, ...] = ()
    #: The archive's address; ``None`` takes the one that this machine's apt is configured for.
    mirror: str | None = None
    #: The same for the security archive.
    security_mirror: str | None = None


@dataclass(frozen=True, slots=True)
class Import:
    """A base unpacked from a root file system archive."""

    #: Path of a tar archive, plain or compressed (gzip, bzip2, xz).
    archive: str
    #: ``sha256:`` and 64 hexadecimal digits, of the archive as it lies there.
    checksum: str


@dataclass(frozen=True, slots=True)
class Pull:
    """A base that is somebody's image, named by digest."""

    #: ``name@sha256:…``.
    reference: str


Source = Bootstrap | Import | Pull


@dataclass(frozen=True, slots=True)
class Tier:
    """One image of the chain: who owns it, what it stands on, how it is named.

    Exactly one of ``parent`` and ``source`` is set; ``role`` is set if and only if ``parent`` is.
    """

    #: The inventory host.
    name: str
    #: The inventory group that owns the tier.
    team: str
    #: Repository name of its images, without a tag.
    image: str
    #: The release tag that promotion moves.
    tag: str
    #: The tier this one stands on; ``None`` for a base.
    parent: str | None = None
    #: The role as the inventory names it; ``None`` for a base.
    role: str | None = None
    #: Where a base comes from.
    source: Source | None = None
    #: Tiers whose images its tests run with.
    neighbours: tuple[str, ...] = ()
    #: What its build container may do; of no meaning for a base.
    cage: Cage = field(default_factory=Cage)
    #: Patterns of paths that its layer leaves out, besides those that every layer does.
    drop: tuple[str, ...] = ()
    #: Patterns of paths that its layer has as the build left them.
    keep: tuple[str, ...] = ()
    #: The latest time in its layer, in seconds since 1970, where the tier says so itself.
    epoch: int | None = None
    #: Files of tasks that run before its role, and after it.
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def release(self) -> str:
        """The reference that users pull: ``httpd-php:latest``."""
        return f"{self.image}:{self.tag}"
