"""Tables of the measured runs: medians, and a comparison with the targets."""

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
    """The numbers of one run."""

    #: Seconds.
    wall: float
    #: Seconds of processor time.
    work: float
    #: Megabytes.
    memory: float


Runs = Mapping[str, Sequence[Measured]]


@dataclass(frozen=True)
class Target:
    """A limit for a measured number."""

    what: str
    unit: str
    limit: float
    #: Computes the number from the runs. A ``KeyError`` means that it was not measured.
    number: Callable[[Runs], float]


TARGETS = (
    Target(
        "demo: nothing changed / an empty play",
        "",
        1.25,
        lambda runs: wall(runs[DEMO_KEPT]) / wall(runs[DEMO_EMPTY]),
    ),
    Target(
        "large: --check, nothing changed, without an empty play",
        "s",
        6,
        lambda runs: wall(runs[LARGE_CHECK]) - wall(runs[LARGE_EMPTY]),
    ),
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
    return statistics.median(run.wall for run in runs)


def memory(runs: Sequence[Measured]) -> float:
    """Maximum megabytes of any run."""
    return max(run.memory for run in runs)


def table(runs: Runs) -> str:
    """All runs as aligned text."""
    rows = [("", "median s", "min", "max", "work s", "MB", "runs")]
    for name, kind_runs in runs.items():
        seconds = [run.wall for run in kind_runs]
        numbers = (wall(kind_runs), min(seconds), max(seconds), statistics.median(run.work for run in kind_runs))
        rows.append((name, *(f"{number:.2f}" for number in numbers), f"{memory(kind_runs):.0f}", str(len(kind_runs))))
    return aligned(rows)


def targets(runs: Runs) -> str:
    """The targets and the measured numbers, as aligned text."""
    rows = [("TARGETS", "measured", "target", "")]
    for target in TARGETS:
        try:
            number = target.number(runs)
        except KeyError:
            measured, verdict = "-", "not measured"
        else:
            measured, verdict = f"{number:.2f}", "met" if number <= target.limit else "missed"
        rows.append((target.what, measured, f"<= {target.limit:g} {target.unit}".rstrip(), verdict))
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Align the first column to the left, and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join((first.ljust(widths[0]), *cells)).rstrip())
    return "\n".join(lines)
