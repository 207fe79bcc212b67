# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Notes when the phases of apt and dpkg begin and end, in a file on a tmpfs. It runs only in builds with a profile.

apt runs it as a hook, and dpkg as a logger of its status (``--status-logger`` in dpkg(1)). It never fails: an error
would end the installation.

Each line has words: the time, an ID of the process, the phase, and the apt that it belongs to, as ``PID:STARTED``. A
``-`` says that it is not known. Times are seconds since 1970.

usage: apt_events.py FILE note PHASE
       apt_events.py FILE dpkg        reads dpkg's status from standard input
       apt_events.py FILE read        prints the current time, and the file
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

#: The phases of dpkg, by the words that it writes after "processing:".
_PHASES = {
    "install": "unpack",
    "upgrade": "unpack",
    "configure": "configure",
    "trigproc": "triggers",
    "disappear": "remove",
    "remove": "remove",
    "purge": "remove",
}
_APT = ("apt", "apt-get", "aptitude")

#: Number of ancestors that are looked at: dpkg, and shells between it and apt.
_ANCESTORS = 6

#: Number of bytes that are printed at most.
_MAX_SIZE = 4 << 20


def note(file: str, phase: str, *more: object) -> None:
    """Append a line about a phase that begins or ends now."""
    words = [f"{time.time():.3f}", os.getpid(), phase, find_apt(), *more]
    with contextlib.suppress(OSError):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        try:
            os.write(descriptor, " ".join(map(str, words)).encode() + b"\n")
        finally:
            os.close(descriptor)


def find_apt() -> str:
    """Return the process of apt that this process was started by; ``-`` if a different program uses apt's library.

    The start of other programs is not the start of apt: a process of the agent is forked long before it runs a module.
    """
    pid, found = os.getppid(), "-"
    with contextlib.suppress(OSError, ValueError, IndexError):
        for _ancestor in range(_ANCESTORS):
            name, parent, ticks = _look_at(pid)
            if name in _APT:  # the highest one counts, because apt runs hooks from a fork of itself
                with open("/proc/uptime") as file:
                    age = float(file.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
                found = f"{pid}:{time.time() - age:.3f}"
            pid = parent
    return found


def _look_at(pid: int) -> tuple[str, int, int]:
    """Return the name of a process, its parent, and when it started, in ticks since the machine started (proc(5))."""
    with open(f"/proc/{pid}/stat") as file:
        name, _, rest = file.read().partition("(")[2].rpartition(")")
    fields = rest.split()
    return name, int(fields[1]), int(fields[19])


def follow_dpkg(file: str) -> None:
    """Note the phases of one dpkg until it ends."""
    note(file, "dpkg-begins")
    phase, rest = "", b""
    while chunk := os.read(0, 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            words = line.decode(errors="replace").split(":")
            found = _PHASES.get(words[1].strip(), "") if words[0] == "processing" and len(words) > 1 else ""
            if found and found != phase:
                phase = found
                note(file, phase)
    note(file, "dpkg-ends")


def main(file: str, action: str, *words: str) -> None:
    """Do one action; see the usage above."""
    if action == "dpkg":
        follow_dpkg(file)
    elif action == "read":
        sys.stdout.write(f"{time.time():.3f}\n")
        sys.stdout.flush()
        with open(file, "rb") as content:
            sys.stdout.buffer.write(content.read(_MAX_SIZE))
    else:
        note(file, *words)


if __name__ == "__main__":
    with contextlib.suppress(OSError):
        main(*sys.argv[1:])
