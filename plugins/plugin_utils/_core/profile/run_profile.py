# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The profile of a run for programs: for each tier, the seconds of each step and of each task.

It is made at the end of the run, from the times of its tasks, and from what its processes measured
(:mod:`..stopwatch`). Seconds of steps never overlap, except for those inside a task, which can run in parallel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from .. import stopwatch
from ..errors import ChainError, RunError, describe_error
from ..interpreter import apt_phases
from ..local_files import write_atomically
from ..records import encode
from ..run.result import noted_files
from ..state.journal import Journal
from ..state.plan_records import Planned, read_plans
from ..state.tier_records import read_tested
from ..stopwatch import Span
from .measuring import FILE, TaskTime, events_file

#: The variable that names the file.
_VARIABLE = "tier_profile"

#: Actions of a run that belong to no tier, and their names.
_RUN_STEPS = {"tier_plan": "plan", "tier_promote": "promote", "tier_publish": "publish"}
_FACTS = frozenset({"setup", "gather_facts"})

#: Steps in which a tier waits for a different tier.
PARENT = "wait for the parent"
_TEST_WAITS = frozenset({"wait for the tests of the parent", "wait for neighbours"})

#: Steps of tasks that are fields of their own.
_MODULE, _TRANSFER = "module", "transfer"
_SEND, _WRITE, _LOAD = "send", "write", "load"


class StepTime(msgspec.Struct, frozen=True):
    """A step and its seconds."""

    step: str
    seconds: float


class TestTime(msgspec.Struct, frozen=True):
    """A test and its seconds."""

    test: str
    seconds: float


class TaskProfile(msgspec.Struct, frozen=True):
    """A task of a tier."""

    task: str
    #: The role and the file; ``null`` for tasks of Tierwright.
    role: str | None
    file: str | None
    action: str
    #: ``ok``, ``changed``, ``failed``, ``ignored``, ``skipped``, ``unreachable`` or ``unfinished``.
    result: str
    #: Seconds between the begin of the run and the begin of the task.
    at: float
    seconds: float
    #: Seconds inside the module, in the build container. A loop runs a module more than once.
    module: float
    #: Seconds for temporary folders and copied files in the build container.
    transfer: float
    #: Phases of apt and dpkg inside the module.
    apt: list[StepTime]
    #: Other steps, of Tierwright's own tasks.
    steps: list[StepTime]


class TierProfile(msgspec.Struct, frozen=True):
    """The time of a tier."""

    tier: str
    #: Seconds between the begin of the run and the tier's first task.
    at: float
    #: Seconds between the begin of its first task and the end of its last task.
    seconds: float
    #: Seconds for which it could have begun, but Ansible had no free fork (``--forks``). They are not in ``seconds``.
    waiting_for_fork: float
    waiting_for_parent: float
    #: Making a base; 0 for other tiers.
    source: float
    #: Starting the build container.
    start: float
    facts: float
    #: All tasks of the role, and of ``tier_before`` and ``tier_after``.
    tasks: float
    seal: float
    tests: float
    #: Waiting for the tests of its parent, and for neighbours.
    waiting_for_tests: float
    #: Time of Ansible's main process between two tasks.
    between_tasks: float
    task_list: list[TaskProfile]
    test_list: list[TestTime]


class RunProfile(msgspec.Struct, frozen=True):
    """The profile of a run."""

    #: The chain's name.
    chain: str
    #: ID of the run.
    run: str
    #: RFC 3339 times; ``ended`` is ``null`` until the run has ended.
    began: str
    ended: str | None
    #: Seconds of the whole run; ``null`` until it has ended.
    seconds: float | None
    #: Steps of the run that belong to no tier: plan, promote, publish.
    steps: list[StepTime] = msgspec.field(default_factory=list)
    #: Tiers that the run built or tested, parents first.
    tiers: list[TierProfile] = msgspec.field(default_factory=list)


def begin_profile(files: Mapping[str, str], chain: str, run: str) -> None:
    """Write a profile without an end, to replace the one of an earlier run at once.

    Args:
        files: Paths of the files of the run, by kind.
        chain: The chain's name.
        run: The ID of the run.

    Raises:
        ChainError: The file cannot be written.
    """
    if FILE in files:
        try:
            _write(Path(files[FILE]), RunProfile(chain, run, _time(datetime.now(UTC)), None, None))
        except OSError as error:
            raise ChainError(f"{_VARIABLE}: {files[FILE]} cannot be written: {describe_error(error)}") from error


def write_profile(journal: Journal, tasks: Iterable[TaskTime], began: float, ended: float) -> RunProfile:
    """Write the profile of a run that has ended to its file.

    Args:
        journal: The journal of the run.
        tasks: The tasks of the run.
        began: When the run began, in seconds since 1970.
        ended: When it ended.

    Raises:
        RunError: The file cannot be written, or the run has no plan.
    """
    profile = make_profile(journal, list(tasks), began, ended)
    file = noted_files(journal)[FILE]
    try:
        _write(Path(file), profile)
    except OSError as error:
        raise RunError(f"{_VARIABLE}: {file} cannot be written: {describe_error(error)}") from error
    return profile


def make_profile(journal: Journal, tasks: list[TaskTime], began: float, ended: float) -> RunProfile:
    """Return the profile of a run; the arguments are those of :func:`write_profile`.

    Raises:
        RunError: The run has no plan.
    """
    chain, planned = read_plans(journal)
    spans = stopwatch.read(events_file(journal))
    by_host: dict[str, list[TaskTime]] = {}
    for task in sorted(tasks, key=lambda each: each.began):
        by_host.setdefault(task.host, []).append(task)
    own = {host: [task for task in of if _own_action(task) not in _RUN_STEPS] for host, of in by_host.items()}
    #: The play of the builds begins with the first tier that is not a base.
    begin = min((of[0].began for of in own.values() if of and _own_action(of[0]) != "tier_base"), default=began)
    tiers = []
    for tier in chain:
        if own.get(tier.name):
            ready = max(begin, _ready(journal, planned, tier.parent))
            of_tier = [span for span in spans if span.host == tier.name]
            tiers.append(_profile_tier(journal, tier.name, own[tier.name], of_tier, ready, began))
    of_run = [task for task in tasks if task.result != "skipped"]
    steps = {name: [task for task in of_run if _own_action(task) == action] for action, name in _RUN_STEPS.items()}
    chain_name = next((plan.chain for plan in planned.values()), "")
    return RunProfile(
        chain=chain_name,
        run=journal.run,
        began=_time(datetime.fromtimestamp(began, UTC)),
        ended=_time(datetime.fromtimestamp(ended, UTC)),
        seconds=_round(ended - began),
        steps=[StepTime(name, _sum(of)) for name, of in steps.items() if of],
        tiers=tiers,
    )


def _profile_tier(
    journal: Journal, tier: str, tasks: list[TaskTime], spans: list[Span], ready: float, began: float
) -> TierProfile:
    profiles = [_profile_task(task, _spans_of(task, spans), began) for task in tasks]
    seconds = dict.fromkeys(("tier_base", "tier_start", "tier_seal", "tier_test", "facts", "tasks"), 0.0)
    for task in tasks:
        action = _own_action(task)
        kind = "facts" if action in _FACTS and task.role is None else action if action in seconds else "tasks"
        seconds[kind] += task.ended - task.began
    waits = {span.step: 0.0 for span in spans}
    for span in spans:
        waits[span.step] += span.seconds
    for_parent = waits.get(PARENT, 0.0)
    for_tests = sum(waits.get(step, 0.0) for step in _TEST_WAITS)
    first, last = tasks[0].began, max(task.ended for task in tasks)
    tested = read_tested(journal, tier)
    return TierProfile(
        tier=tier,
        at=_round(first - began),
        seconds=_round(last - first),
        waiting_for_fork=_round(first - ready) if _own_action(tasks[0]) != "tier_base" else 0.0,
        waiting_for_parent=_round(for_parent),
        source=_round(seconds["tier_base"]),
        start=_round(seconds["tier_start"] - for_parent),
        facts=_round(seconds["facts"]),
        tasks=_round(seconds["tasks"]),
        seal=_round(seconds["tier_seal"]),
        tests=_round(seconds["tier_test"] - for_tests),
        waiting_for_tests=_round(for_tests),
        between_tasks=_round(last - first - sum(task.ended - task.began for task in tasks)),
        task_list=profiles,
        test_list=[TestTime(test.test, _round(test.seconds)) for test in tested.ran] if tested else [],
    )


def _profile_task(task: TaskTime, spans: list[Span], began: float) -> TaskProfile:
    spans = _with_load(spans)
    apt = [span for span in spans if span.step.startswith(apt_phases.PREFIX)]
    others = [span for span in spans if span not in apt and span.step not in {_MODULE, _TRANSFER}]
    names = [apt_phases.PREFIX + step for step in apt_phases.STEPS]
    return TaskProfile(
        task=task.name,
        role=task.role,
        file=task.file,
        action=task.action,
        result=task.result,
        at=_round(task.began - began),
        seconds=_round(task.ended - task.began),
        module=_round(sum(span.seconds for span in spans if span.step == _MODULE)),
        transfer=_round(sum(span.seconds for span in spans if span.step == _TRANSFER)),
        apt=_add_up(sorted(apt, key=lambda span: names.index(span.step)), apt_phases.PREFIX),
        steps=_add_up(sorted(others, key=lambda span: span.began)),
    )


def _spans_of(task: TaskTime, spans: list[Span]) -> list[Span]:
    """Return the spans of a task. Those of apt have no ID of a task, because apt does not know it."""

    def belongs(span: Span) -> bool:
        if span.step.startswith(apt_phases.PREFIX):
            return task.began <= (span.began + span.ended) / 2 < task.ended
        return span.task == task.task

    return [span for span in spans if belongs(span)]


def _with_load(spans: list[Span]) -> list[Span]:
    """Replace the sending of an archive by its last part: the engine loads it after the last byte was written."""
    written = [span.ended for span in spans if span.step == _WRITE]
    result = []
    for span in spans:
        if span.step == _SEND:
            last = max((moment for moment in written if span.began <= moment <= span.ended), default=span.began)
            result.append(Span(_LOAD, span.host, span.task, last, span.ended, span.ended - last))
        else:
            result.append(span)
    return result


def _add_up(spans: Iterable[Span], prefix: str = "") -> list[StepTime]:
    seconds: dict[str, float] = {}
    for span in spans:
        step = span.step.removeprefix(prefix)
        seconds[step] = seconds.get(step, 0.0) + span.seconds
    return [StepTime(step, _round(total)) for step, total in seconds.items()]


def _ready(journal: Journal, planned: Mapping[str, Planned], parent: str | None) -> float:
    """Return when a tier's parent had an image in this run; 0 if it had one before."""
    if parent is None or parent not in planned or not planned[parent].runs:
        return 0.0
    moments = (journal.moment(kind, parent) for kind in ("candidate", "outcome"))
    return next((moment for moment in moments if moment is not None), 0.0)


def _own_action(task: TaskTime) -> str:
    return task.action.rpartition(".")[2]


def _sum(tasks: Iterable[TaskTime]) -> float:
    return _round(sum(task.ended - task.began for task in tasks))


def _round(seconds: float) -> float:
    """Round to milliseconds. Clocks can step back, but no step takes less than no time."""
    return round(max(0.0, seconds), 3)


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _write(file: Path, profile: RunProfile) -> None:
    write_atomically(file, encode(profile, indent=2) + "\n")
