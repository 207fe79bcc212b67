"""Tables of the measured runs: medians, ratios, and a comparison with the targets."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .contenders import API_PIPELINED, API_PIPELINED_TCP, LOCAL_PIPELINED, MITOGEN, TIER, TIER_TCP, WORK

Key = tuple[str, str]  # a contender and a list


@dataclass(frozen=True)
class Run:
    """A run of ansible-playbook in which all tasks succeeded."""

    contender: str
    list: str
    round: int
    #: Start and end of each task, in seconds.
    times: tuple[tuple[float, float], ...]
    #: Seconds of the whole process.
    wall: float

    @property
    def per_task(self) -> float:
        """Milliseconds per task, from the start of the first one to the end of the last one."""
        return 1000 * (self.times[-1][1] - self.times[0][0]) / len(self.times)

    @property
    def first(self) -> float:
        """Milliseconds of the first task, including the first connection to the host."""
        start, end = self.times[0]
        return 1000 * (end - start)


@dataclass
class Measured:
    """The measurements of a bench."""

    runs: list[Run] = field(default_factory=list)
    #: Rounds in which a contender failed to run a list.
    failures: dict[Key, list[int]] = field(default_factory=dict)
    #: Why a contender cannot run at all.
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """All runs of one list by one contender: milliseconds per task, and seconds of the process."""

    runs: int
    median: float
    least: float
    most: float
    first: float
    wall: float


@dataclass(frozen=True)
class Target:
    """A limit for the time of one contender, divided by the time of another."""

    list: str
    ours: str
    other: str
    limit: float


TARGETS = (
    *(
        Target(name, ours, other, limit)
        for ours, other, limit in (
            (TIER, API_PIPELINED, 0.2),
            (TIER, LOCAL_PIPELINED, 0.6),
            (TIER_TCP, API_PIPELINED_TCP, 0.6),
        )
        for name in WORK
    ),
    Target("command", TIER, MITOGEN, 0.75),
    Target("copy", TIER, MITOGEN, 1.0),  # two modules, and mitogen makes fewer round trips
)


_COLUMNS = ("median", "min", "max", "first", "process s", "runs", "tier", "tier-tcp")


def summarise(runs: Iterable[Run]) -> dict[Key, Summary]:
    """Summarise the runs of each list by each contender."""
    grouped: dict[Key, list[Run]] = {}
    for run in runs:
        grouped.setdefault((run.contender, run.list), []).append(run)
    return {key: _summary(key_runs) for key, key_runs in grouped.items()}


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
    """The median (or the field ``of``) of one contender divided by that of another; ``None`` if one is missing."""
    numerator = summaries.get((ours, name))
    denominator = summaries.get((other, name)) or summaries.get((other, "debug"))
    return getattr(numerator, of) / getattr(denominator, of) if numerator and denominator else None


def table(measured: Measured, name: str, contenders: Sequence[str]) -> str:
    """The contenders of one list as aligned text. Lines below it name those that failed or could not run."""
    summaries = summarise(measured.runs)
    rows = [(f"{name.upper()}: ms for a task", *_COLUMNS)]
    notes = []
    for contender in contenders:
        summary = summaries.get((contender, name)) or summaries.get((contender, "debug"))
        if summary:
            numbers = (summary.median, summary.least, summary.most, summary.first)
            cells = (*(f"{number:.0f}" for number in numbers), f"{summary.wall:.1f}", str(summary.runs))
            ratios = (_ratio(ratio(summaries, name, ours, contender)) for ours in (TIER, TIER_TCP))
            rows.append((contender, *cells, *ratios))
        if rounds := measured.failures.get((contender, name)):
            notes.append(f"{contender}: failed in round {', '.join(map(str, rounds))}, see above")
        if reason := measured.left_out.get(contender):
            notes.append(f"{contender}: left out, {reason}")
    return "\n".join([_aligned(rows), *notes])


def targets(measured: Measured) -> str:
    """The targets and the measured numbers, as aligned text."""
    summaries = summarise(measured.runs)
    rows = [("TARGETS", "list", "by median", "by min", "target", "")]
    for target in TARGETS:
        median = ratio(summaries, target.list, target.ours, target.other)
        verdict = "not measured" if median is None else "met" if median <= target.limit else "missed"
        title = f"{target.ours} / {target.other}"
        best = ratio(summaries, target.list, target.ours, target.other, of="least")
        rows.append((title, target.list, _ratio(median), _ratio(best), f"<= {target.limit:.2f}", verdict))
    return _aligned(rows)


def as_data(measured: Measured) -> dict[str, Any]:
    """All measurements, for ``--json``."""
    summaries = summarise(measured.runs)
    return {
        "summaries": [
            {"contender": contender, "list": name, **vars(summary)} for (contender, name), summary in summaries.items()
        ],
        "targets": [
            {**vars(target), "measured": ratio(summaries, target.list, target.ours, target.other)} for target in TARGETS
        ],
        "failures": [
            {"contender": contender, "list": name, "rounds": rounds}
            for (contender, name), rounds in measured.failures.items()
        ],
        "left_out": measured.left_out,
        "runs": [{**vars(run), "per_task": run.per_task} for run in measured.runs],
    }


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Align the first column to the left, and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join((first.ljust(widths[0]), *cells)).rstrip())
    return "\n".join(lines)
