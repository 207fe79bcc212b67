# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright runs``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import click
import msgspec

from ..text import age, one_line, printable_lines
from ..watch.run_records import WatchRun, find_run, output_path, read_runs, request_cancel, run_folder
from .output import Table, json_option, show

_HEADS = ("RUN", "WHAT", "WHY", "BEGAN>", "TOOK>", "OUTCOME")
_LONGEST_OUTPUT = 1 << 20
_MINUTE = 60


class ListedRun(msgspec.Struct, frozen=True):
    """A run of a watcher."""

    id: str
    #: ``follow``, ``try candidates`` or ``deploy``.
    kind: str
    #: The chain, or the site.
    about: str
    #: What it worked on: tiers or services, each with a space and a digest.
    subject: list[str]
    #: Why it was begun.
    reasons: list[str]
    #: RFC 3339 times; the second one is ``null`` until the end.
    began: str
    ended: str | None
    #: ``succeeded``, ``rejected``, ``failed``, ``cancelled``, ``timed out`` or ``interrupted``; ``null`` until the end.
    outcome: str | None
    #: Why it ended in this way; can be empty.
    reason: str
    #: The folder with its output and events.
    folder: str


class WatchRuns(msgspec.Struct, frozen=True):
    """The answer to ``tierwright runs``."""

    #: The newest first.
    runs: list[ListedRun]
    #: The end of the output of the run that was asked for; ``null`` if none was.
    output: str | None


@click.command()
@click.argument("run", required=False)
@click.option("--cancel", metavar="RUN", help="End this run; its watcher goes on.")
@json_option
def verb(run: str | None, *, cancel: str | None, as_json: bool) -> None:
    """Show what `tierwright watch` did: when, why, and how it ended. With RUN, show its output."""
    if cancel is not None:
        request_cancel(find_run(cancel))
        click.echo(f"run {cancel} is asked to end", err=True)
        return
    if run is None:
        answer = WatchRuns([_list(each) for each in read_runs()], None)
    else:
        found = find_run(run)
        answer = WatchRuns([_list(found)], _read_output(found))
    show(answer, lambda: _render(answer), as_json=as_json)


def _list(run: WatchRun) -> ListedRun:
    return ListedRun(
        id=run.id,
        kind=run.kind.value,
        about=run.about,
        subject=[f"{name} {digest}" for name, digest in run.subject.items()],
        reasons=run.reasons,
        began=run.began,
        ended=run.ended,
        outcome=run.outcome.value if run.outcome else None,
        reason=run.reason,
        folder=str(run_folder(run.id)),
    )


def _read_output(run: WatchRun) -> str:
    try:
        with output_path(run_folder(run.id)).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _LONGEST_OUTPUT))
            return printable_lines(file.read().decode(errors="replace"))
    except FileNotFoundError:
        return ""


def _render(answer: WatchRuns) -> Iterator[str | Table]:
    if answer.output is None:
        if not answer.runs:
            yield "no watcher of this user has begun a run yet"
        else:
            yield Table(_HEADS, [_row(run) for run in answer.runs])
        return
    run = answer.runs[0]
    yield f"{run.id}: {run.kind} {run.about}, {run.outcome or 'goes on'}" + (f": {run.reason}" if run.reason else "")
    yield from (f"  {reason}" for reason in run.reasons)
    yield ""
    yield from answer.output.splitlines()


def _row(run: ListedRun) -> tuple[str, ...]:
    return (
        run.id,
        f"{run.kind} {run.about}",
        one_line("; ".join(run.reasons)),
        age(run.began),
        _took(run),
        run.outcome or "goes on",
    )


def _took(run: ListedRun) -> str:
    if run.ended is None:
        return "-"
    seconds = int(_moment(run.ended) - _moment(run.began))
    return f"{seconds} s" if seconds < _MINUTE else f"{seconds // _MINUTE} min {seconds % _MINUTE} s"


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
