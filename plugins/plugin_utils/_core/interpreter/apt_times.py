# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the phases of apt and dpkg from a build container, for the profile of a run."""

from __future__ import annotations

import time

from .. import stopwatch
from ..engine import streams
from ..engine.engine import Engine
from ..errors import EngineError
from .apt_phases import PREFIX, phases, read_events, read_number
from .mounted_python import EVENTS, MOUNT


def collect(engine: Engine, container: str) -> None:
    """Read the events of a build container, and record the phases for the profile.

    Without the mounted Python, or if the container does not answer, nothing is recorded.
    """
    output, asked = streams.Output(), time.time()
    command = [f"{MOUNT}/bin/python3", "-I", "-S", f"{MOUNT}/apt/events.py", EVENTS, "read"]
    try:
        engine.exec.run(container, command, take=output.take, user="0:0")
    except EngineError:
        return
    answered = time.time()
    first, _, lines = output.stdout.decode(errors="replace").partition("\n")
    now = read_number(first)
    if now is None:
        return
    # The clock of a remote engine can differ. If the difference is not larger than the time of the answer, it is noise.
    difference = asked - now
    shift = difference if abs(difference) > 2 * (answered - asked) + 1 else 0.0
    for step, began, ended, seconds in phases(read_events(lines.splitlines())):
        stopwatch.note(PREFIX + step, began + shift, ended + shift, seconds)
