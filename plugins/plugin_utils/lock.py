# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks between processes that are not waited for without end: after some time, the message names who holds it.

They are POSIX locks, which end with the process that took them; those of ``flock`` live on in its children.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from pathlib import Path
from typing import IO

from .errors import RunError

_POLL_SECONDS = 0.05

#: ``struct flock`` of fcntl(2) on 64-bit Linux: type, whence, start, length, process.
_FLOCK = "hhqqi"


def lock(file: IO[bytes], seconds: float) -> None:
    """Lock a file that is open for writing, until it is closed.

    Raises:
        RunError: Another process has held it for so many seconds, or the process that this one works for has ended.
    """
    until, employer = time.monotonic() + seconds, os.getppid()
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            pass
        else:
            return
        if os.getppid() != employer:
            raise RunError("the playbook has ended")
        if time.monotonic() >= until:
            raise RunError(
                f"{file.name} has been locked for {seconds:.0f} s by {_holder(file)}; end that process, or let it go on"
            )
        time.sleep(_POLL_SECONDS)


def _holder(file: IO[bytes]) -> str:
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))[4]
    if pid <= 0:  # another machine's, or another container's
        return "a process that is not seen from here"
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return f"process {pid}"
    told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return f"process {pid} ({told.get('Name', '?')}), which is in state {told.get('State', '?')}"
