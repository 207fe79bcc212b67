# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One tier: a host of the inventory, with the limits of its build container and its protected paths.

A build container may do little, unless the tier requests more in ``tier_cage``. The layers of descendants may not
change the protected paths of a tier (``tier_protects``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import asdict

from ..errors import ChainError
from ..records import decode
from .names import split_registry

#: Capabilities of every build container: the minimum for installing packages (measured with apache2, php-fpm and
#: mariadb-server).
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")

#: Capabilities that a tier may request in addition. Engines grant them to every container by default, and none of them
#: has an effect outside the container.
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

#: Common other capabilities, and the reasons why they are rejected (capabilities(7)).
_REJECTED = {
    "ALL": "it means all capabilities",
    "BPF": "it can load programs into the kernel",
    "DAC_READ_SEARCH": "it can open any file on the engine's machine by its handle",
    "NET_ADMIN": "it can change the network of other programs",
    "PERFMON": "it can observe other processes",
    "SYS_ADMIN": "it is equivalent to root on the engine's machine",
    "SYS_BOOT": "it can restart the engine's machine",
    "SYS_MODULE": "it can load code into the kernel",
    "SYS_PTRACE": "it can read and change other processes",
    "SYS_RAWIO": "it can read and write the memory and disks of the engine's machine",
    "SYS_TIME": "it can set the clock of the engine's machine",
}

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(\d{1,15})([kmgt]?)b?")

#: A shell and an interpreter need at least this much.
_MIN_MEMORY = 64 << 20
_MIN_PROCESSES = 32

#: Upper limits: more memory than any machine has, and the maximum of ``pid_max`` on Linux.
_MAX_MEMORY = 64 << 40
_MAX_PROCESSES = 1 << 22


class Cage(msgspec.Struct, frozen=True):
    """The capabilities and limits of one build container."""

    #: Capabilities beyond :data:`CAPABILITIES`, sorted.
    capabilities: tuple[str, ...] = ()
    #: Memory in bytes, including swap.
    memory: int = 4 << 30
    #: Maximum number of processes and threads.
    pids: int = 4096

    @property
    def additions(self) -> str:
        """The additional capabilities as text, for plan and history: ``capabilities KILL, NET_RAW``, or empty."""
        return f"capabilities {', '.join(self.capabilities)}" if self.capabilities else ""


def read_cage(tier: str, settings: Mapping[str, Any] | None) -> Cage:
    """Read the ``tier_cage`` of a tier. Its argument specification was checked before; missing keys get the defaults.

    Raises:
        ChainError: A capability is not allowed, or a limit is out of range.
    """
    settings = {key: value for key, value in (settings or {}).items() if value is not None}
    default = Cage()
    return Cage(
        capabilities=_read_capabilities(tier, settings.get("capabilities", ())),
        memory=_read_memory(tier, settings["memory"]) if "memory" in settings else default.memory,
        pids=_read_pids(tier, settings["pids"]) if "pids" in settings else default.pids,
    )


def _read_capabilities(tier: str, capabilities: Sequence[str]) -> tuple[str, ...]:
    names = {name.upper().removeprefix("CAP_") for name in capabilities}
    for name in sorted(names.difference(CAPABILITIES, MORE_CAPABILITIES)):
        reason = _REJECTED.get(name, "it is not known to be safe")
        raise ChainError(
            f"tier {tier!r}: tier_cage.capabilities has {name!r}, which is not allowed: {reason}; allowed are: "
            f"{', '.join(MORE_CAPABILITIES)}"
        )
    return tuple(sorted(names.difference(CAPABILITIES)))


def _read_memory(tier: str, text: str) -> int:
    match = _SIZE.fullmatch(text.strip().lower())
    size = int(match[1]) * _UNITS[match[2]] if match else 0
    if not _MIN_MEMORY <= size <= _MAX_MEMORY:
        raise ChainError(
            f"tier {tier!r}: tier_cage.memory is {text!r}; expected a size such as 512m or 2g, from 64m to 64t"
        )
    return size


def _read_pids(tier: str, count: int) -> int:
    if not _MIN_PROCESSES <= count <= _MAX_PROCESSES:
        raise ChainError(
            f"tier {tier!r}: tier_cage.pids is {count}; expected a number of processes, from {_MIN_PROCESSES} to "
            f"{_MAX_PROCESSES}"
        )
    return count


class Protection(msgspec.Struct, frozen=True):
    """The protected paths of one tier."""

    #: The tier.
    tier: str
    #: The team that owns it.
    team: str
    #: Path patterns, without a slash at the beginning or the end.
    paths: tuple[str, ...]


def read_paths(name: str, variable: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Read the path patterns of a tier.

    Args:
        name: The tier, for messages.
        variable: The variable that contains them, for messages.
        paths: The patterns. A slash at the beginning or the end is ignored.

    Returns:
        The patterns, sorted and without duplicates.

    Raises:
        ChainError: A pattern does not name a path below the root, or contains ``.``, ``..`` or a double slash. It would
            never match.
    """
    patterns = set()
    for pattern in paths:
        parts = pattern.strip("/").split("/")
        if "\0" in pattern or {"", ".", ".."} & set(parts):
            raise ChainError(
                f"tier {name!r}: {variable} has {pattern!r}; expected a path below the root, or a pattern of paths, "
                "without '.', '..' and double slashes: /etc/ssl, /etc/cron.*"
            )
        patterns.add("/".join(parts))
    return tuple(sorted(patterns))


def protections_to_text(protections: Iterable[Protection]) -> str:
    """Write protections as JSON for a label; empty if there are none."""
    entries = [asdict(protection) for protection in protections if protection.paths]
    return json.dumps(entries, sort_keys=True, separators=(",", ":")) if entries else ""


def protections_from_text(text: str) -> tuple[Protection, ...]:
    """Read the output of :func:`protections_to_text`.

    Raises:
        ValueError: The text has a different form.
    """
    return decode(text, tuple[Protection, ...]) if text else ()


#: First line of OpenPGP public keys that are text.
ARMOR = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"


class Bootstrap(msgspec.Struct, frozen=True, tag_field="kind", tag=True):
    """A base that mmdebstrap makes from a Debian archive."""

    #: Code name or suite: ``bookworm``.
    suite: str
    #: Archive sections.
    components: tuple[str, ...] = ("main",)
    #: Packages in addition to the essential ones and apt.
    packages: tuple[str, ...] = ()
    #: Address of the archive; ``None`` means the one that apt on this machine uses.
    mirror: str | None = None
    #: Address of the security archive; ``None`` means ``mirror``, or the one that apt on this machine uses.
    security_mirror: str | None = None
    #: All suites to take packages from; empty means ``suite`` with its updates and security updates.
    suites: tuple[str, ...] = ()
    #: OpenPGP public keys that sign the archive, as in the file; empty means those that apt on this machine trusts.
    keyring: bytes = b""

    @property
    def is_armored(self) -> bool:
        """Whether the keys are text. Otherwise they are binary."""
        return self.keyring.lstrip().startswith(ARMOR)


class Import(msgspec.Struct, frozen=True, tag_field="kind", tag=True):
    """A base that is imported from an archive of a root file system."""

    #: Path of a tar archive, plain or compressed (gzip, bzip2, xz).
    archive: str
    #: ``sha256:`` and 64 hexadecimal digits, the checksum of the archive file.
    checksum: str


class Pull(msgspec.Struct, frozen=True, tag_field="kind", tag=True):
    """A base that is an existing image in a registry, named by digest."""

    #: ``name@sha256:…``.
    reference: str


class Follow(msgspec.Struct, frozen=True, tag_field="kind", tag=True):
    """A base that another team publishes. Its image may move; the lock file says which image is used."""

    #: Host of the registry and repository there: ``registry.example.org/operations/corebuild``.
    image: str
    #: The tag that ``tierwright update`` asks for.
    tag: str = "latest"

    @property
    def reference(self) -> str:
        """The image with its tag: ``registry.example.org/operations/corebuild:stable``."""
        return f"{self.image}:{self.tag}"


#: As JSON, a source has the name of its class in the field ``kind``. msgspec tells only its own classes apart, not
#: dataclasses.
Source = Bootstrap | Import | Pull | Follow


class Tier(msgspec.Struct, frozen=True):
    """One image of the chain: its owner, its parent, its names and its settings.

    Exactly one of ``parent`` and ``source`` is set. ``role`` is set if and only if ``parent`` is set.
    """

    #: The inventory host.
    name: str
    #: The inventory group that owns the tier.
    team: str
    #: Name of its images, without a tag.
    image: str
    #: The release tag that promotion moves.
    tag: str
    #: The tier that this one is based on; ``None`` for a base.
    parent: str | None = None
    #: The role as the inventory names it, or the first of several; ``None`` for a base.
    role: str | None = None
    #: The source of a base; ``None`` for other tiers.
    source: Source | None = None
    #: Tiers whose images its tests start.
    neighbours: tuple[str, ...] = ()
    #: Capabilities and limits of its build container; not used for a base.
    cage: Cage = msgspec.field(default_factory=Cage)
    #: Path patterns that are left out of its layer, in addition to those that are left out of every layer.
    drop: tuple[str, ...] = ()
    #: Path patterns that are kept in its layer unchanged.
    keep: tuple[str, ...] = ()
    #: The latest time in its layer, in seconds since 1970; ``None`` if the tier does not set it.
    epoch: int | None = None
    #: Task files that run before its role, and after it.
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    #: Whether its tasks may use the SSH agent of the controller.
    ssh_agent: bool = False
    #: Other roles that are applied after ``role``, in this order.
    more_roles: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """All its roles, in the order in which they are applied; empty for a base."""
        return () if self.role is None else (self.role, *self.more_roles)

    @property
    def role_names(self) -> str | None:
        """The names of all its roles, for people: ``web, monitoring``; ``None`` for a base."""
        return ", ".join(self.roles) or None

    @property
    def release(self) -> str:
        """The reference that users pull: ``httpd-php:latest``."""
        return f"{self.image}:{self.tag}"

    @property
    def published_image(self) -> str:
        """The name under which the tier is published: that of the followed image, or its own."""
        return self.followed.image if self.followed else self.image

    @property
    def is_publishable(self) -> bool:
        """Whether this chain publishes the tier: its image name has a registry, and no other team publishes it."""
        return self.followed is None and split_registry(self.image) is not None

    @property
    def followed(self) -> Follow | None:
        """The image of another team that this tier stands for. It is used unchanged; ``None`` for other tiers."""
        return self.source if isinstance(self.source, Follow) else None
