"""What the measured runs say: medians, ratios, and the targets beside them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .contenders import API_PIPELINED, API_PIPELINED_TCP, LOCAL_PIPELINED, MITOGEN, TIER, TIER_TCP, WORK

Key = tuple[str, str]  # a contender and a list


@dataclass(frozen=True)
class Run:
    """One ansible-playbook that did all of its tasks."""

    contender: str
    list: str
    round: int
    #: Start and end of each task, in seconds.
    times: tuple[tuple[float, float], ...]
    #: Seconds that the whole process took.
    wall: float

    @property
    def per_task(self) -> float:
        """Milliseconds for a task, from the first one's start to the last one's end."""
        return 1000 * (self.times[-1][1] - self.times[0][0]) / len(self.times)

    @property
    def first(self) -> float:
        """Milliseconds of the first task: what it costs to get to know the host."""
        start, end = self.times[0]
        return 1000 * (end - start)


@dataclass
class Measured:
    """What came out of a bench."""

    runs: list[Run] = field(default_factory=list)
    #: Rounds in which a contender failed at a list.
    failures: dict[Key, list[int]] = field(default_factory=dict)
    #: Why a contender could not run at all.
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """All runs of one contender over one list; milliseconds for a task, seconds for the process."""

    runs: int
    median: float
    least: float
    most: float
    first: float
    wall: float


@dataclass(frozen=True)
class Target:
    """How long one contender may take, measured by another."""

    list: str
    ours: str
    other: str
    limit: float


TARGETS = tuple(
    Target(name, ours, other, limit)
    for ours, other, limit in (
        (TIER, API_PIPELINED, 0.2),
        (TIER, LOCAL_PIPELINED, 0.6),
        (TIER, MITOGEN, 0.8),
        (TIER_TCP, API_PIPELINED_TCP, 0.6),
    )
    for name in WORK
)


_COLUMNS = ("median", "min", "max", "first", "process s", "runs", "tier", "tier-tcp")


def summarise(runs: Iterable[Run]) -> dict[Key, Summary]:
    """Summarise the runs of each contender over each list."""
    grouped: dict[Key, list[Run]] = {}
    for run in runs:
        grouped.setdefault((run.contender, run.list), []).append(run)
    return {key: _summary(each) for key, each in grouped.items()}


def _summary(runs: Sequence[Run]) -> Summary:
    tasks = [run.per_task for run in runs]
    return Summary(
        runs=len(runs),
        median=statistics.median(tasks),
        least=min(tasks),
        most=max(tasks),
        first=statistics.median(run.first for run in runs),
        wall=statistics.median(run.wall for run in runs),
    )


def ratio(summaries: Mapping[Key, Summary], name: str, ours: str, other: str, of: str = "median") -> float | None:
    """Median (or ``of`` what else) of one contender divided by another's; ``None`` where one was not measured."""
    mine = summaries.get((ours, name))
    theirs = summaries.get((other, name)) or summaries.get((other, "debug"))
    return getattr(mine, of) / getattr(theirs, of) if mine and theirs else None


def table(measured: Measured, name: str, contenders: Sequence[str]) -> str:
    """One list's contenders as aligned text; those that failed or could not run are named below."""
    summaries = summarise(measured.runs)
    rows = [(f"{name.upper()}: ms for a task", *_COLUMNS)]
    notes = []
    for each in contenders:
        summary = summaries.get((each, name)) or summaries.get((each, "debug"))
        if summary:
            numbers = (summary.median, summary.least, summary.most, summary.first)
            told = (*(f"{number:.0f}" for number in numbers), f"{summary.wall:.1f}", str(summary.runs))
            rows.append((each, *told, *(_ratio(ratio(summaries, name, ours, each)) for ours in (TIER, TIER_TCP))))
        if rounds := measured.failures.get((each, name)):
            notes.append(f"{each}: failed in round {', '.join(map(str, rounds))}, see above")
        if reason := measured.left_out.get(each):
            notes.append(f"{each}: left out, {reason}")
    return "\n".join([_aligned(rows), *notes])


def targets(measured: Measured) -> str:
    """The targets and what was measured, as aligned text."""
    summaries = summarise(measured.runs)
    rows = [("TARGETS", "list", "by median", "by min", "target", "")]
    for target in TARGETS:
        found = ratio(summaries, target.list, target.ours, target.other)
        met = "not measured" if found is None else "met" if found <= target.limit else "missed"
        what = f"{target.ours} / {target.other}"
        best = ratio(summaries, target.list, target.ours, target.other, of="least")
        rows.append((what, target.list, _ratio(found), _ratio(best), f"<= {target.limit:.2f}", met))
    return _aligned(rows)


def as_data(measured: Measured) -> dict[str, Any]:
    """Everything that was measured, for ``--json``."""
    summaries = summarise(measured.runs)
    return {
        "summaries": [{"contender": who, "list": name, **vars(each)} for (who, name), each in summaries.items()],
        "targets": [{**vars(each), "measured": ratio(summaries, each.list, each.ours, each.other)} for each in TARGETS],
        "failures": [{"contender": who, "list": name, "rounds": of} for (who, name), of in measured.failures.items()],
        "left_out": measured.left_out,
        "runs": [{**vars(run), "per_task": run.per_task} for run in measured.runs],
    }


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join((first.ljust(widths[0]), *cells)).rstrip())
    return "\n".join(lines)
