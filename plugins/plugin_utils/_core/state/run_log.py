# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run printed about each tier: the results of its tasks, its failure, and its tests.

While a run is active, its journal has one line for each task that ended. At the end of the run, the log of each tier is
stored in the chain's state folder, for ``tierwright logs``. Only the user can read it. It has what Ansible shows: of a
task with ``no_log``, only the result. The size of a log and the number of logs are limited.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from ..chain.names import file_name
from ..errors import DamagedError, TierwrightError, describe_error
from ..layer.build_memory import Task
from ..local_files import write_atomically
from ..records import decode, encode
from .journal import Journal, runs, start_time, state_folder
from .kept_builds import PastTask
from .plan_records import read_plans
from .tier_records import GateRecord, read_tested

_FOLDER = "logs"

#: Number of runs whose log is stored for each tier.
KEPT_RUNS = 5
#: Number of lines that are stored of one task, the last ones.
_TASK_LINES = 40
_LINE_LENGTH = 2_000
#: Number of tasks that are stored, and number of characters of their output: the last ones.
_TASKS = 2_000
_OUTPUT = 500_000
#: Number of characters of the logs of containers for each failed test.
_TEST_LOG = 20_000
#: Size of the results in a journal, in bytes, from which on no output is recorded.
_JOURNAL = 8 << 20


class TaskResult(msgspec.Struct, frozen=True):
    """The result of one task."""

    #: RFC 3339 time of its end.
    when: str
    #: ``ok``, ``changed``, ``skipped``, ``failed``, ``ignored`` (it failed, and the role ignores that) or
    #: ``unreachable``.
    status: str
    name: str
    #: ``null`` for a task outside a role.
    role: str | None
    #: File and line; ``null`` for a task outside a role.
    file: str | None
    #: What Ansible printed about it; empty for most tasks that did not fail.
    said: list[str]


class TierLog(msgspec.Struct, frozen=True):
    """What one run printed about one tier."""

    chain: str
    tier: str
    run: str
    #: RFC 3339 times; the second one is ``null`` while the run is active, and if it was killed.
    began: str
    ended: str | None
    #: ``failed``, ``passed``, or ``unfinished``.
    result: str
    #: Why it failed, or why it keeps an earlier image; can be empty.
    reason: str
    #: The last tasks, and how many earlier ones are not stored.
    tasks: list[TaskResult]
    left_out: int
    #: The explanation of a failure, line by line.
    failure: list[str]
    #: The result of the tests of its image, with the logs of containers; ``null`` if no tests ran.
    tests: GateRecord | None


def note_result(
    journal: Journal, tier: str, task: Task, status: str, said: Iterable[str], *, waits: bool = True
) -> None:
    """Record that a task of a tier has ended.

    Args:
        journal: The journal of the run.
        tier: Name of the tier.
        task: The task.
        status: How it ended; see :class:`TaskResult`.
        said: Its output, as Ansible's callbacks get it: without the values that ``no_log`` hides.
        waits: Whether it has really ended. Otherwise it goes on in the background, and nobody knows its result.
    """
    lines = [line[:_LINE_LENGTH] for line in deque(said, _TASK_LINES)]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    result = TaskResult(now, status, task.name, task.role, task.file, lines)
    line = json.dumps([encode(result), waits]) + "\n"
    with contextlib.suppress(FileNotFoundError):  # the run has ended, and its journal was removed
        descriptor = os.open(_results_file(journal, tier), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.fstat(descriptor).st_size > _JOURNAL:
                line = json.dumps([encode(replace(result, said=[])), waits]) + "\n"
            os.write(descriptor, line.encode(errors="backslashreplace"))
        finally:
            os.close(descriptor)


def past_tasks(journal: Journal, tier: str) -> tuple[PastTask, ...]:
    """Return the tasks of a tier's build that have ended in this run."""
    return tuple(
        PastTask(
            result.role,
            result.name,
            result.file.rpartition(":")[0] if result.file else None,
            result.status if waits else "started",
        )
        for result, waits in _read_results(journal, tier)
    )


def store_logs(journal: Journal, explain: dict[str, list[str]]) -> None:
    """Store the log of each tier that a run built or tested, and remove the oldest logs.

    Args:
        journal: The journal of the run, which ends now.
        explain: The explanations of failures, by tier.

    Raises:
        OSError: A log cannot be written. The run must not fail because of that.
    """
    _chain, planned = read_plans(journal)
    for name, plan in planned.items():
        if not plan.runs:
            continue
        log = read_journal(journal, plan.chain, name, explain.get(name, ()), ended=True)
        folder = _folder(plan.chain, name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(folder / f"{journal.run}.json", encode(log))
        for path in sorted(folder.glob("*.json"))[:-KEPT_RUNS]:
            path.unlink(missing_ok=True)


def read_journal(journal: Journal, chain: str, tier: str, failure: Iterable[str] = (), *, ended: bool) -> TierLog:
    """Read the log of a tier from the journal of a run."""
    results = [result for result, _waits in _read_results(journal, tier)]
    tasks = list(_last(results))
    outcome = journal.outcome(tier)
    result = "unfinished" if outcome is None else "failed" if outcome.image is None else "passed"
    tested = read_tested(journal, tier)
    return TierLog(
        chain=chain,
        tier=tier,
        run=journal.run,
        began=start_time(journal.run).isoformat(timespec="seconds"),
        ended=datetime.now(UTC).isoformat(timespec="seconds") if ended else None,
        result=result,
        reason=outcome.reason if outcome else "",
        tasks=tasks,
        left_out=len(results) - len(tasks),
        failure=list(failure),
        tests=_shortened(tested) if tested else None,
    )


def read_logs(chain: str, tier: str) -> list[TierLog]:
    """Read the logs of a tier's runs, the oldest first: those that are stored, and those of active and killed runs.

    Raises:
        DamagedError: A log cannot be read.
    """
    found: dict[str, TierLog] = {}
    folder = _folder(chain, tier)
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            found[path.stem] = decode(path.read_text(), TierLog)
        except (OSError, ValueError) as error:
            raise DamagedError(f"{path} cannot be read ({describe_error(error)}); remove it") from error
    for journal in runs(chain):
        with contextlib.suppress(TierwrightError):  # a run that just ends
            if journal.run not in found and (
                tier in journal.recorded("outcome") or _results_file(journal, tier).exists()
            ):
                found[journal.run] = read_journal(journal, chain, tier, ended=False)
    return [found[run] for run in sorted(found)]


def logged_tiers(chain: str) -> list[str]:
    """Return the names of the tiers of a chain that have stored logs."""
    folder = state_folder(chain) / _FOLDER
    return sorted(unquote(path.name) for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _last(results: Sequence[TaskResult]) -> Sequence[TaskResult]:
    """Return the last tasks. Of tasks before the last ones, the output is left out."""
    kept: list[TaskResult] = []
    size = 0
    for result in reversed(results[-_TASKS:]):
        size += sum(map(len, result.said))
        kept.append(result if size <= _OUTPUT else replace(result, said=[]))
    return kept[::-1]


def _shortened(tested: GateRecord) -> GateRecord:
    return replace(tested, failed=tuple(replace(test, log=test.log[-_TEST_LOG:]) for test in tested.failed))


def _read_results(journal: Journal, tier: str) -> Iterator[tuple[TaskResult, bool]]:
    try:
        lines = _results_file(journal, tier).read_text().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        with contextlib.suppress(ValueError, TypeError):  # a line that a killed run did not finish
            text, waits = json.loads(line)
            yield decode(text, TaskResult), bool(waits)


def _results_file(journal: Journal, tier: str) -> Path:
    return journal.folder / f"{file_name(tier)}.results"


def _folder(chain: str, tier: str) -> Path:
    return state_folder(chain) / _FOLDER / file_name(tier)
