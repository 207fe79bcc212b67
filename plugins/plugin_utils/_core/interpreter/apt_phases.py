# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The phases of apt and dpkg, from the events that ``inside/apt_events.py`` notes in a build container.

What a container answers is not trusted: a hostile build can give wrong times of its own tier, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress

import msgspec

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


class AptEvent(msgspec.Struct, frozen=True):
    """One line of the events of a container."""

    moment: float
    #: The process that noted it.
    process: str
    phase: str
    #: When apt started; ``None`` if that is not known.
    started: float | None
    #: When the phase began, if the line says so.
    began: float | None


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
        if (read := read_number(moment)) is not None:
            return AptEvent(
                read, process, phase, read_number(apt.partition(":")[2]), read_number(more[0]) if more else None
            )
    return None


def read_number(text: str) -> float | None:
    """Read a moment; ``None`` if the text is not a finite number of at least 0."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
