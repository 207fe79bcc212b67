# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The phases of apt and dpkg in a build container, for the profile of a run.

``inside/apt_events.py`` notes them in the container. They are read before the container is sealed. What a container
answers is not trusted: a hostile build can give wrong times of its own tier, and nothing else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from .. import stopwatch
from ..engine import streams
from ..engine.engine import Engine
from ..errors import EngineError
from .mounted_python import EVENTS, MOUNT

#: Prefix of the steps in the profile.
PREFIX = "apt: "

#: The steps, in the order in which apt takes them.
LISTS, PLAN, CACHE, NETWORK, PREPARE = "package lists", "open and plan", "copy from the cache", "download", "prepare"
START, UNPACK, CONFIGURE, TRIGGERS, REMOVE = "start dpkg", "unpack", "configure", "triggers", "remove"
STEPS = (LISTS, PLAN, CACHE, NETWORK, PREPARE, START, UNPACK, CONFIGURE, TRIGGERS, REMOVE)

_FETCHES = {"fetch-cache": CACHE, "fetch-network": NETWORK}
_DPKG = {"unpack": UNPACK, "configure": CONFIGURE, "triggers": TRIGGERS, "remove": REMOVE}

#: A period: when it began and ended, in seconds since 1970.
Period = tuple[float, float]


@dataclass(frozen=True, slots=True)
class AptEvent:
    """One line of the events of a container."""

    moment: float
    #: The process that noted it.
    process: str
    phase: str
    #: When apt started; ``None`` if that is not known.
    started: float | None
    #: When the phase began, if the line says so.
    began: float | None


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
    now = _number(first)
    if now is None:
        return
    # The clock of a remote engine can differ. If the difference is not larger than the time of the answer, it is noise.
    difference = asked - now
    shift = difference if abs(difference) > 2 * (answered - asked) + 1 else 0.0
    for step, began, ended, seconds in phases(read_events(lines.splitlines())):
        stopwatch.note(PREFIX + step, began + shift, ended + shift, seconds)


def read_events(lines: Iterable[str]) -> list[AptEvent]:
    """Read the lines of a container. Lines of a different form are ignored."""
    return [event for line in lines if (event := _read_event(line.split())) is not None]


def phases(events: list[AptEvent]) -> Iterator[tuple[str, float, float, float]]:
    """Yield the phases of apt: step, begin, end, and seconds without the downloads in between."""
    fetches = {step: _periods(events, word) for word, step in _FETCHES.items()}
    for step, periods in fetches.items():
        yield from ((step, began, ended, ended - began) for began, ended in periods)
    fetched = _union(period for periods in fetches.values() for period in periods)
    for step, (began, ended) in (*_lists(events), *_plans(events)):
        yield step, began, ended, ended - began - _overlap((began, ended), fetched)
    for step, (began, ended) in _dpkg_phases(events):
        yield step, began, ended, ended - began


def _lists(events: list[AptEvent]) -> Iterator[tuple[str, Period]]:
    began = None
    for event in events:
        if event.phase == "update-begins":
            began = event.moment
        elif event.phase == "update-ends" and began is not None:
            yield LISTS, (began, max(began, event.moment))
            began = None


def _plans(events: list[AptEvent]) -> Iterator[tuple[str, Period]]:
    """Yield the time from the start of apt to the first dpkg. Then apt prepares packages with debconf's hook."""
    planned = None
    for event in events:
        if event.phase == "planned":
            planned = event.moment
            if event.started is not None and event.started <= event.moment:
                yield PLAN, (event.started, event.moment)
        elif event.phase == "dpkg-begins" and planned is not None:
            yield PREPARE, (planned, max(planned, event.moment))
            planned = None


def _dpkg_phases(events: list[AptEvent]) -> Iterator[tuple[str, Period]]:
    running: dict[str, tuple[str, float]] = {}
    for event in events:
        if event.process in running and (event.phase in _DPKG or event.phase == "dpkg-ends"):
            step, began = running.pop(event.process)
            yield step, (began, max(began, event.moment))
        if event.phase == "dpkg-begins" or event.phase in _DPKG:
            running[event.process] = _DPKG.get(event.phase, START), event.moment


def _periods(events: list[AptEvent], phase: str) -> list[Period]:
    """Return the periods in which at least one file was fetched."""
    return _union((event.began, event.moment) for event in events if event.phase == phase and event.began is not None)


def _union(periods: Iterable[Period]) -> list[Period]:
    united: list[Period] = []
    for began, ended in sorted(periods):
        if united and began <= united[-1][1]:
            united[-1] = united[-1][0], max(united[-1][1], ended)
        elif began <= ended:
            united.append((began, ended))
    return united


def _overlap(period: Period, others: list[Period]) -> float:
    return sum(max(0.0, min(period[1], ended) - max(period[0], began)) for began, ended in others)


def _read_event(words: list[str]) -> AptEvent | None:
    with suppress(ValueError):
        moment, process, phase, apt, *more = words
        if (read := _number(moment)) is not None:
            return AptEvent(read, process, phase, _number(apt.partition(":")[2]), _number(more[0]) if more else None)
    return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
