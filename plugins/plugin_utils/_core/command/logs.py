# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright logs``."""

from __future__ import annotations

from collections.abc import Iterator

import click
import msgspec

from ..errors import NotFoundError, UsageError
from ..state.journal import chains
from ..state.run_log import TierLog, read_logs
from ..state.tier_records import GateRecord
from ..text import printable_lines
from .output import Table, json_option, show
from .tier_options import chain_option

#: Results of tasks that are only shown with ``--all``.
_QUIET = frozenset({"ok", "skipped"})


class TierLogs(msgspec.Struct, frozen=True):
    """The answer to ``tierwright logs``."""

    chain: str
    tier: str
    #: The oldest first.
    runs: list[TierLog]


@click.command()
@click.argument("tier")
@click.option("--last", type=click.IntRange(min=1), default=1, help="Number of runs to show (default: 1).")
@click.option("--all", "everything", is_flag=True, help="Also list tasks that changed nothing, and skipped ones.")
@chain_option
@json_option
def verb(tier: str, *, last: int, everything: bool, chain: str | None, as_json: bool) -> None:
    """Show what the last runs printed about TIER: its tasks, its failure, its tests, and the logs of containers.

    Runs that are active or were killed are included. Of tasks with no_log, only the result is known.

    Example: tierwright logs httpd-php --last 2
    """
    found = {name: logs for name in ([chain] if chain else chains()) if (logs := read_logs(name, tier))}
    if not found:
        raise NotFoundError(f"no run of this user on this machine has built or tested a tier {tier!r}")
    if len(found) > 1:
        raise UsageError(f"several chains have a tier {tier!r}: {', '.join(found)}; choose one with --chain")
    name, logs = found.popitem()
    answer = TierLogs(name, tier, logs[-last:])
    show(answer, lambda: _render(answer, everything=everything), as_json=as_json)


def _render(answer: TierLogs, *, everything: bool) -> Iterator[str | Table]:
    for number, log in enumerate(answer.runs):
        if number:
            yield ""
        yield f"{answer.tier}: run {log.run} {log.result}" + (f": {log.reason}" if log.reason else "")
        yield from _render_tasks(log, everything=everything)
        if log.failure:
            yield ""
            yield from (f"  {line}" for line in _lines("\n".join(log.failure)))
        if log.tests is not None:
            yield ""
            yield from _render_tests(log.tests)


def _render_tasks(log: TierLog, *, everything: bool) -> Iterator[str]:
    if log.left_out:
        yield f"  ({log.left_out} earlier tasks are not stored)"
    quiet = 0
    for task in log.tasks:
        if task.status in _QUIET and not task.said and not everything:
            quiet += 1
            continue
        yield f"  {task.status:11} {task.name}" + (f" ({task.file})" if task.file else "")
        yield from (f"      {line}" for line in _lines("\n".join(task.said)))
    if quiet:
        yield f"  and {quiet} tasks that changed nothing; --all lists them"


def _render_tests(tests: GateRecord) -> Iterator[str]:
    failed = len({test.test for test in tests.failed})
    yield f"  {tests.tests} tests ran in {tests.seconds:g} s, {failed} failed"
    for test in tests.failed:
        yield f"  FAILED {test.test or 'all tests'}" + (f" (team {test.owner})" if test.owner else "")
        yield from (f"      {line}" for line in _lines(test.message))
        yield from (f"      {line}" for line in _lines(test.log))


def _lines(text: str) -> list[str]:
    return printable_lines(text).splitlines()
