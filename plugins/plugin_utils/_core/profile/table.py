# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prints a profile: a table of the tiers, and the slowest tasks with the phases of apt."""

from __future__ import annotations

from collections.abc import Iterator

from ..text import one_line
from .run_profile import RunProfile, StepTime, TaskProfile, TierProfile

#: Headings and fields of the columns. A column without time is left out.
_COLUMNS = {
    "ALL": "seconds",
    "FORK": "waiting_for_fork",
    "PARENT": "waiting_for_parent",
    "SOURCE": "source",
    "START": "start",
    "FACTS": "facts",
    "TASKS": "tasks",
    "BETWEEN": "between_tasks",
    "SEAL": "seal",
    "TESTS": "tests",
    "WAIT": "waiting_for_tests",
}

#: Number of tasks that are listed, and the seconds that each of them takes at least.
_TASKS, _LEAST = 10, 0.1
#: Steps with less seconds are left out of a line.
_SMALL = 0.05
_NAME = 50


def profile_lines(profile: RunProfile) -> Iterator[str]:
    """Yield the lines of a profile. Times are in seconds."""
    tiers = profile.tiers
    steps = "".join(f", {step.step} {_shown(step.seconds)}" for step in profile.steps)
    yield f"time of this run: {_shown(profile.seconds or 0.0)} s{steps}"
    if not tiers:
        return
    columns = [name for name, of in _COLUMNS.items() if any(getattr(tier, of) >= _SMALL for tier in tiers)]
    rows = [[tier.tier, *(_cell(tier, _COLUMNS[column]) for column in columns)] for tier in tiers]
    head = ["TIER", *columns]
    widths = [max(len(row[number]) for row in (head, *rows)) for number in range(len(head))]
    for row in (head, *rows):
        yield "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
    slow = [(tier.tier, task) for tier in tiers for task in tier.task_list if task.seconds >= _LEAST]
    if slow:
        yield "slowest tasks:"
    for tier, task in sorted(slow, key=lambda pair: -_work(pair[1]))[:_TASKS]:
        yield f"  {_shown(_work(task)):>6}  {tier}: {one_line(task.task, _NAME)}{_details(task)}"


def _work(task: TaskProfile) -> float:
    """Return the seconds of a task without waiting for other tiers."""
    return task.seconds - sum(step.seconds for step in task.steps if step.step.startswith("wait for"))


def _details(task: TaskProfile) -> str:
    steps = [*task.apt, *task.steps]
    shown = [f"{step.step} {_shown(step.seconds)}" for step in steps if step.seconds >= _SMALL and not _waits(step)]
    return f" ({', '.join(shown)})" if shown else ""


def _waits(step: StepTime) -> bool:
    return step.step.startswith("wait for")


def _cell(tier: TierProfile, name: str) -> str:
    seconds = float(getattr(tier, name))
    return _shown(seconds) if seconds >= _SMALL else "-"


def _shown(seconds: float) -> str:
    return f"{seconds:.1f}"
