"""What the measured runs say: medians, and the targets beside them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

DEMO_EMPTY = "demo: an empty play"
DEMO_KEPT = "demo: nothing changed"
LARGE_EMPTY = "large: an empty play"
LARGE_NEW = "large: --check, no image exists"
LARGE_CHECK = "large: --check, nothing changed"
LARGE_KEPT = "large: nothing changed"


@dataclass(frozen=True)
class Measured:
    """One run's numbers."""

    #: Seconds.
    wall: float
    #: Seconds that processors worked.
    work: float
    #: Megabytes.
    memory: float


Runs = Mapping[str, Sequence[Measured]]


@dataclass(frozen=True)
class Target:
    """A number that a bench's medians are held against."""

    what: str
    unit: str
    limit: float
    #: Takes the measured number out of the runs; a ``KeyError`` says that it was not measured.
    number: Callable[[Runs], float]


TARGETS = (
    Target("demo: nothing changed / an empty play", "", 3, lambda runs: wall(runs[DEMO_KEPT]) / wall(runs[DEMO_EMPTY])),
    *(
        target
        for name in (LARGE_NEW, LARGE_CHECK)
        for target in (
            Target(name, "s", 15, lambda runs, name=name: wall(runs[name])),
            Target(name, "MB", 500, lambda runs, name=name: memory(runs[name])),
        )
    ),
)


def wall(runs: Sequence[Measured]) -> float:
    """Median of the seconds."""
    return statistics.median(each.wall for each in runs)


def memory(runs: Sequence[Measured]) -> float:
    """Most megabytes of any run."""
    return max(each.memory for each in runs)


def table(runs: Runs) -> str:
    """All runs as aligned text."""
    rows = [("", "median s", "min", "max", "work s", "MB", "runs")]
    for name, each in runs.items():
        seconds = [one.wall for one in each]
        told = (wall(each), min(seconds), max(seconds), statistics.median(one.work for one in each))
        rows.append((name, *(f"{number:.1f}" for number in told), f"{memory(each):.0f}", str(len(each))))
    return aligned(rows)


def targets(runs: Runs) -> str:
    """The targets and what was measured, as aligned text."""
    rows = [("TARGETS", "measured", "target", "")]
    for target in TARGETS:
        try:
            number = target.number(runs)
        except KeyError:
            told, met = "-", "not measured"
        else:
            told, met = f"{number:.1f}", "met" if number <= target.limit else "missed"
        rows.append((target.what, told, f"<= {target.limit:g} {target.unit}".rstrip(), met))
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join((first.ljust(widths[0]), *cells)).rstrip())
    return "\n".join(lines)
