# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who a run belongs to: one ansible-playbook, told to others that wait for it."""

from __future__ import annotations

import dataclasses
import getpass
import os
import socket
import time
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
