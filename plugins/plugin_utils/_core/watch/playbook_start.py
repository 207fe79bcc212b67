# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program that a watcher starts in place of ansible-playbook. It becomes ansible-playbook at once.

ansible-runner writes the command and the environment of what it starts to a file. Both may contain secrets. So
ansible-runner starts this program, without any environment, and this program gets both from the memory of the watcher.
It uses the standard library only, and runs without this collection on the path: ``python -I playbook_start.py
WATCHER-PID DESCRIPTOR FOLDER``.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

#: Name of the file with the process ID and the start time of the playbook.
PROCESS = "process.json"

_PR_SET_PDEATHSIG = 1
_START_TIME = 19


def _main(watcher: int, descriptor: str, folder: str) -> None:
    # If the watcher is killed, its playbook is interrupted, as with Ctrl-C.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
    if os.getppid() != watcher:
        sys.exit("the watcher has ended")
    start = json.loads(Path(f"/proc/{watcher}/fd/{descriptor}").read_text())
    birth = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[_START_TIME]
    unfinished = Path(folder, f".{PROCESS}")
    unfinished.write_text(json.dumps({"pid": os.getpid(), "birth": birth}))
    unfinished.replace(Path(folder, PROCESS))
    os.execve(start["command"][0], start["command"], start["environment"])  # noqa: S606 - no shell is needed


if __name__ == "__main__":
    _main(int(sys.argv[1]), *sys.argv[2:])
