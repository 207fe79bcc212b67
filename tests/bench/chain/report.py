"""Tables of the measured builds, as text and as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from .scenarios import SCENARIOS

#: A run as in the JSON file.
Row = Mapping[str, Any]


def seconds(runs: Sequence[Row], contender: str, scenario: str) -> list[float]:
    """The measured seconds of a contender in a scenario, in the order of the rounds."""
    return [run["seconds"] for run in runs if (run["contender"], run["scenario"]) == (contender, scenario)]


def contenders(runs: Sequence[Row]) -> list[str]:
    """The contenders that were measured, in the order of their first run."""
    return list(dict.fromkeys(run["contender"] for run in runs))


def scenarios(runs: Sequence[Row]) -> list[str]:
    """The scenarios that were measured, in their usual order."""
    measured = {run["scenario"] for run in runs}
    return [key for key in SCENARIOS if key in measured]


def cell(runs: Sequence[Row], contender: str, scenario: str) -> str:
    """Median, minimum and maximum, and the median of the load before."""
    values = seconds(runs, contender, scenario)
    if not values:
        return "-"
    loads = [run["load"] for run in runs if (run["contender"], run["scenario"]) == (contender, scenario)]
    spread = f"{min(values):.1f} to {max(values):.1f}, " if len(values) > 1 else ""
    return f"{statistics.median(values):.1f} ({spread}load {statistics.median(loads):.0f})"


def rows(runs: Sequence[Row], order: Sequence[str]) -> list[list[str]]:
    """A heading, and a line for each contender."""
    keys = scenarios(runs)
    lines = [["", *(SCENARIOS[key].name for key in keys)]]
    lines += [[name, *(cell(runs, name, key) for key in keys)] for name in order if name in contenders(runs)]
    return lines


def text_table(runs: Sequence[Row], order: Sequence[str]) -> str:
    """The table, aligned."""
    lines = rows(runs, order)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown_table(runs: Sequence[Row], order: Sequence[str]) -> str:
    """The table for a page."""
    heading, *lines = rows(runs, order)
    rule = ["---", *("---:" for _ in heading[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in [heading, rule, *lines])


def conditions(measured: Mapping[str, Any]) -> str:
    """What was measured with, as a list for a page."""
    about = measured["about"]
    loads = sorted(run["load"] for run in measured["runs"])
    rounds = len({run["round"] for run in measured["runs"]})
    dates = sorted({entry["date"] for entry in about})
    last = about[-1]
    lines = [
        f"{dates[0]} to {dates[-1]}" if len(dates) > 1 else dates[0],
        f"{rounds} {'round' if rounds == 1 else 'rounds'}, {len(loads)} builds",
        f"{last['cores']} cores, Linux {last['kernel']}",
        *([f"images of the engine: {last['storage']}"] if "storage" in last else []),
        f"load of the machine before a build: median {statistics.median(loads):.1f}, {loads[0]:.1f} to {loads[-1]:.1f}",
    ]
    versions = {name: text for entry in about for name, text in entry["contenders"].items()}
    lines += [f"{name}: {text}" for name, text in versions.items()]
    lines += [f"{name} could not run: {reason}" for name, reason in measured["left_out"].items()]
    return "\n".join(f"- {line}" for line in lines)


def compared(measured: Mapping[str, Any]) -> str:
    """How the content of the images differs from that of Tierwright's, as a table for a page."""
    if not measured["content"]:
        return "The content was not compared."
    lines = ["| builder | " + " | ".join(next(iter(measured["content"].values()))) + " |"]
    lines.append("|---" * (lines[0].count("|") - 1) + "|")
    for name, tiers in measured["content"].items():
        cells = [f"{len(found)} paths differ" if found else "equal" for found in tiers.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
