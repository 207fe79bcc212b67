# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The process that a run belongs to, and the project that a chain belongs to.

Who a run belongs to: one ansible-playbook, told to others that wait for it.

Where a chain lives, and whether another place that claims its name is the same project.

One project has many places: clones, worktrees, checkouts of CI that are new each time. Nothing that is in an image may
depend on the place, so what tells is the Git repository, the folder, and the tiers.
"""

from __future__ import annotations

import dataclasses
import getpass
import json
import os
import socket
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that a run lives and dies with."""

    #: Its number on its machine.
    pid: int
    #: When it was born, as its machine counts; numbers are used again. Empty where the system does not tell.
    birth: str
    #: Its machine.
    host: str
    #: The user's name.
    user: str
    #: What it was started as, without its options: they may hold secrets.
    command: str
    #: When the run began, for people.
    since: str

    @classmethod
    def employer(cls, command: str) -> Holder:
        """The process that this one, a worker, works for."""
        pid = os.getppid()
        return cls(pid, _birth(pid), machine(), user(), command, time.strftime("%Y-%m-%d %H:%M:%S"))

    @classmethod
    def read(cls, fields: dict[str, Any]) -> Holder:
        """Read what :meth:`written` wrote.

        Raises:
            ValueError: It is something else.
        """
        kinds = {field.name: int if field.name == "pid" else str for field in dataclasses.fields(cls)}
        if not isinstance(fields, dict) or not all(isinstance(fields.get(name), kind) for name, kind in kinds.items()):
            raise ValueError(f"{fields!r} says of no process what it is")
        return cls(**{name: fields[name] for name in kinds})

    def written(self) -> dict[str, Any]:
        """Its fields, as JSON holds them."""
        return dataclasses.asdict(self)

    def lives(self) -> bool:
        """Say whether the process is there still; one of another machine counts as gone."""
        return self.host == machine() and _exists(self.pid) and _birth(self.pid) == self.birth

    def is_employer(self) -> bool:
        """Say whether this process works for it."""
        return self.pid == os.getppid() and self.lives()

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


def _birth(pid: int) -> str:
    """Clock ticks from the machine's start to the process's; of one that only waits to be collected, its state.

    Fields 22 and 3 of proc_pid_stat(5).
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
    """Name of the user that this process runs as, or the number of one without a name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a number without a name; KeyError until Python 3.12
        return str(os.getuid())


_NAMED = 5
_LISTS = ("tiers", "roots")


@dataclass(frozen=True, slots=True)
class Home:
    """Where a chain lives."""

    #: Folder of its inventory, absolute.
    inventory: str
    #: The machine.
    host: str
    user: str
    #: Its tiers, and those that it had: name and repository of the images, with a space between.
    tiers: tuple[str, ...]
    #: Where its Git repository was cloned from; empty where from nowhere.
    origin: str = ""
    #: Folder of its Git repository; empty where there is none.
    repository: str = ""
    #: The inventory's path in that.
    within: str = ""
    #: First commits of its Git repository; none where they are not known.
    roots: tuple[str, ...] = ()
    #: The name that the chain had before this version, which took it from the inventory's folder; empty for none.
    former: str = ""

    @classmethod
    def read(cls, text: str) -> Home | None:
        """Read what :meth:`written` wrote; ``None`` where it is nothing of the kind."""
        try:
            told: dict[str, Any] = json.loads(text)
            home = cls(**{**told, **{name: tuple(told.get(name, ())) for name in _LISTS}})
        except (ValueError, TypeError, KeyError):
            return None
        texts = [getattr(home, field.name) for field in dataclasses.fields(cls) if field.name not in _LISTS]
        return home if all(isinstance(each, str) for each in (*texts, *home.tiers, *home.roots)) else None

    def written(self) -> str:
        """All that another place has to know, as text."""
        return json.dumps(dataclasses.asdict(dataclasses.replace(self, former="")), sort_keys=True)

    def with_tiers(self, tiers: Collection[str]) -> Home:
        """The same place, with more tiers."""
        return dataclasses.replace(self, tiers=tuple(sorted({*self.tiers, *tiers})))

    @property
    def repositories(self) -> dict[str, set[str]]:
        """Repositories of its tiers' images, by tier, those that it had before as well."""
        found: dict[str, set[str]] = {}
        for each in self.tiers:
            tier, _, repository = each.partition(" ")
            found.setdefault(tier, set()).add(repository)
        return found

    def is_project_of(self, other: Home) -> bool:
        """Say whether both are certainly one project.

        Clones of one repository are, whatever their tiers. Where only the history is one, forks are too; there the
        tiers tell as well.
        """
        if self._shares_repository(other):
            return self.within == other.within or self.has_place_of(other)
        if self._shares_history(other) and self.within == other.within and self._has_tiers_of(other):
            return True
        return self.has_place_of(other) and not (self.origin and other.origin)

    def claims_with(self, other: Home) -> bool:
        """Say whether two places that claim one name are one project.

        A copy that no Git tells of, or that was cloned from another address, is known by its tiers: those of one place
        are among those of the other.
        """
        if self.is_project_of(other):
            return True
        foreign = self.origin and other.origin and self.inventory != other.inventory and not self._shares_history(other)
        return not foreign and self._has_tiers_of(other)

    def has_place_of(self, other: Home) -> bool:
        """Say whether this is the other place, or came after it was left."""
        return self.host == other.host and (self.inventory == other.inventory or _is_missing(other.inventory))

    def _shares_repository(self, other: Home) -> bool:
        """A clone of a clone on one machine comes from the folder of that one."""
        local = self.host == other.host
        mine = {self.origin, self.repository if local else ""} - {""}
        return not mine.isdisjoint({other.origin, other.repository if local else ""})

    def _shares_history(self, other: Home) -> bool:
        """Say whether both began with one commit: clones from two addresses do, and so do forks."""
        return not set(self.roots).isdisjoint(other.roots)

    def _has_tiers_of(self, other: Home) -> bool:
        """Say whether the tiers of one place are among those of the other."""
        mine, others = set(self.tiers), set(other.tiers)
        return bool(mine and others) and (mine <= others or others <= mine)

    def __str__(self) -> str:
        names = [each.partition(" ")[0] for each in self.tiers]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return f"{self.inventory} (user {self.user} on {self.host}; tiers {', '.join(names[:_NAMED])}{more})"


def _is_missing(path: str) -> bool:
    """Say whether a path is certainly not there; a folder that we may not look into is."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
