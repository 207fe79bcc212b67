# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The process of a playbook that a watcher started: interrupts it, and ends what a killed watcher left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ..errors import RunError
from ..records import decode
from ..state.owner import process_birth
from .playbook_start import PROCESS

#: Seconds that a playbook has to end after it was interrupted. Then it is killed.
GRACE = 20.0

_POLL_SECONDS = 0.1


class PlaybookProcess(msgspec.Struct, frozen=True):
    """A process of ansible-playbook. It leads a process group."""

    pid: int
    #: Its start time in clock ticks, because process IDs are reused.
    birth: str

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return process_birth(self.pid) == self.birth

    def signal(self, number: int) -> None:
        """Send a signal to it and to its group, if it runs."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)


def read_process(folder: Path) -> PlaybookProcess | None:
    """Return the process that was started for the run with this folder; ``None`` if none was started yet."""
    try:
        return decode((folder / PROCESS).read_text(), PlaybookProcess)
    except (OSError, ValueError):
        return None


def end_leftover(folder: Path, *, sleep: Callable[[float], object] = time.sleep, grace: float = GRACE) -> bool:
    """End the playbook that a killed watcher left behind, and wait until it has ended.

    Args:
        folder: The folder of its run.
        sleep: Waits for some seconds.
        grace: Seconds that it has before it is killed.

    Returns:
        Whether it was still running.

    Raises:
        RunError: It cannot be ended.
    """
    process = read_process(folder)
    if process is None or not process.is_running:
        return False
    for number, seconds in ((signal.SIGINT, grace), (signal.SIGKILL, grace)):
        process.signal(number)
        deadline = time.monotonic() + seconds
        while process.is_running and time.monotonic() < deadline:
            sleep(_POLL_SECONDS)
        if not process.is_running:
            return True
    raise RunError(f"process {process.pid} of run {folder.name} cannot be ended; end it, and start the watcher again")
