# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The process that owns a run, and the project that owns a chain.

The same project can be in many places: clones, worktrees, fresh checkouts in CI. Images must not depend on the
place, so they cannot identify the project. Its Git repository, its folder and its tiers identify it.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Collection
from pathlib import Path

import msgspec

from ..records import decode, encode


class Holder(msgspec.Struct, frozen=True):
    """The ansible-playbook process that a run belongs to. The run ends with this process."""

    #: The process ID on its machine.
    pid: int
    #: The start time of the process in clock ticks, because process IDs are reused. Empty if the system does not
    #: report it.
    birth: str
    #: The host name of its machine.
    host: str
    #: The user's name.
    user: str
    #: The command of the process, without options, because they may contain secrets.
    command: str
    #: When the run began, as local time for people.
    since: str

    @classmethod
    def of_parent_process(cls, command: str) -> Holder:
        """Describe the parent of this process. In a worker, that is ansible-playbook."""
        pid = os.getppid()
        return cls(pid, process_birth(pid), machine(), user(), command, time.strftime("%Y-%m-%d %H:%M:%S"))

    @classmethod
    def of_this_process(cls, command: str) -> Holder:
        """Describe this process."""
        pid = os.getpid()
        return cls(pid, process_birth(pid), machine(), user(), command, time.strftime("%Y-%m-%d %H:%M:%S"))

    def is_running(self) -> bool:
        """Say whether the process still runs; ``False`` for a process of a different machine."""
        return self.host == machine() and _exists(self.pid) and process_birth(self.pid) == self.birth

    def is_parent_process(self) -> bool:
        """Say whether it is the parent of this process."""
        return self.pid == os.getppid() and self.is_running()

    def __str__(self) -> str:
        return f"process {self.pid} of user {self.user} on {self.host} since {self.since}: {self.command}"


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def process_birth(pid: int) -> str:
    """Read when a process started, in clock ticks since the machine started; for a zombie, its state instead.

    These are fields 22 and 3 of proc_pid_stat(5).
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[0] if fields[0] in "ZX" else fields[19]


def machine() -> str:
    """Name of the machine that this process runs on."""
    return socket.gethostname()


def user() -> str:
    """Name of the user of this process, or the user ID if it has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user ID without a name; KeyError until Python 3.12
        return str(os.getuid())


#: The largest number of tiers that a message names.
_MAX_NAMED = 5


class Home(msgspec.Struct, frozen=True):
    """The project that a chain belongs to, and the place of one copy of it."""

    #: Absolute path of the folder of its inventory.
    inventory: str
    #: The host name of its machine.
    host: str
    user: str
    #: Its current and former tiers: each is the name of the tier, a space, and the repository of its images.
    tiers: tuple[str, ...] = ()
    #: The address that its Git repository was cloned from; empty if it was not cloned.
    origin: str = ""
    #: Folder of its Git repository; empty if there is none.
    repository: str = ""
    #: The inventory's path in the Git repository.
    within: str = ""
    #: The root commits of its Git repository; empty if they are not known.
    roots: tuple[str, ...] = ()
    #: The chain's former name: earlier versions took it from the inventory's folder. Empty if there is none.
    former: str = ""

    @classmethod
    def read(cls, text: str) -> Home | None:
        """Read the text that :meth:`written` returned; ``None`` if the text is something else."""
        try:
            return decode(text, cls, exact=True)
        except ValueError:
            return None

    def written(self) -> str:
        """Return all fields except ``former`` as JSON, for other copies of the project to read."""
        return encode(msgspec.structs.replace(self, former=""), sort_keys=True)

    def with_tiers(self, tiers: Collection[str]) -> Home:
        """Return the same place with more tiers."""
        return msgspec.structs.replace(self, tiers=tuple(sorted({*self.tiers, *tiers})))

    @property
    def repositories(self) -> dict[str, set[str]]:
        """Repositories of the images of its current and former tiers, by tier."""
        repositories: dict[str, set[str]] = {}
        for entry in self.tiers:
            tier, _, repository = entry.partition(" ")
            repositories.setdefault(tier, set()).add(repository)
        return repositories

    def is_project_of(self, other: Home) -> bool:
        """Say whether both are certainly the same project.

        Clones of the same repository are, whatever their tiers. If they share only the history, they could be forks:
        then their tiers must match too.
        """
        if self._shares_repository(other):
            return self.within == other.within or self.has_place_of(other)
        if self._shares_history(other) and self.within == other.within and self._has_tiers_of(other):
            return True
        return self.has_place_of(other) and not (self.origin and other.origin)

    def claims_with(self, other: Home) -> bool:
        """Say whether two places that claim the same chain name are the same project.

        A copy without Git data, or a clone from a different address, is recognised by its tiers: all tiers of one place
        must be tiers of the other.
        """
        if self.is_project_of(other):
            return True
        foreign = self.origin and other.origin and self.inventory != other.inventory and not self._shares_history(other)
        return not foreign and self._has_tiers_of(other)

    def has_place_of(self, other: Home) -> bool:
        """Say whether both are the same place, or the other place does not exist any more."""
        return self.host == other.host and (self.inventory == other.inventory or _is_missing(other.inventory))

    def _shares_repository(self, other: Home) -> bool:
        """Say whether both are clones of the same repository, or one is a local clone of the other."""
        local = self.host == other.host
        own = {self.origin, self.repository if local else ""} - {""}
        return not own.isdisjoint({other.origin, other.repository if local else ""})

    def _shares_history(self, other: Home) -> bool:
        """Say whether both have a root commit in common, as clones from two addresses have, and forks too."""
        return not set(self.roots).isdisjoint(other.roots)

    def _has_tiers_of(self, other: Home) -> bool:
        """Say whether all tiers of one place are tiers of the other."""
        own, others = set(self.tiers), set(other.tiers)
        return bool(own and others) and (own <= others or others <= own)

    def __str__(self) -> str:
        names = [entry.partition(" ")[0] for entry in self.tiers]
        more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
        return f"{self.inventory} (user {self.user} on {self.host}; tiers {', '.join(names[:_MAX_NAMED])}{more})"


def _is_missing(path: str) -> bool:
    """Say whether a path certainly does not exist. A folder that this user may not read may still exist."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
