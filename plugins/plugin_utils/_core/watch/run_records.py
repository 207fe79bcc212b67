# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The records of what a watcher did: one folder for each run, below ``+runs`` in the state folder.

A record is written before a run begins, and again after it ended. So a killed watcher leaves an open record, and the
next one knows what was interrupted. The folder also has the output and the events of the playbook.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path

import msgspec
from msgspec.structs import replace

from ..errors import DamagedError, NotFoundError, RunError
from ..local_files import state, write_durably
from ..records import decode, encode
from ..state.owner import Holder, machine
from .survey import WorkKind, WorkNeed

#: Not the state folder of a chain: the names of those contain no plus sign.
_FOLDER = "+runs"
_RECORD = "run.json"
_CANCEL = "cancel"
#: Name of the folder with output and events.
ARTIFACTS = "artifacts"
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


class RunOutcome(Enum):
    """How a run ended."""

    SUCCEEDED = "succeeded"
    #: What was built or rolled out is not good. The same work would end in the same way.
    REJECTED = "rejected"
    #: The work could not be done. The next attempt may succeed.
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    #: The watcher was stopped or killed.
    INTERRUPTED = "interrupted"

    @property
    def verb(self) -> str:
        """The outcome in a sentence, after the name of the run."""
        return (
            self.value
            if self in {RunOutcome.SUCCEEDED, RunOutcome.FAILED, RunOutcome.TIMED_OUT}
            else f"was {self.value}"
        )


class WatchRun(msgspec.Struct, frozen=True):
    """A run of playbooks that a watcher began."""

    #: Its name: ``deploy-20261129T201500Z``.
    id: str
    kind: WorkKind
    #: The chain, or the site.
    about: str
    #: What it works on; see :class:`.survey.WorkNeed`.
    subject: dict[str, str]
    #: Why it was begun.
    reasons: list[str]
    #: The inventories that are watched; they name the watcher.
    inventories: list[str]
    #: The watcher that began it.
    holder: Holder
    #: RFC 3339 times; the second one is ``null`` until the end.
    began: str
    ended: str | None = None
    #: ``null`` until the end.
    outcome: RunOutcome | None = None
    #: Why it ended in this way, in one sentence; empty if there is nothing to say.
    reason: str = ""

    @property
    def seconds(self) -> float | None:
        """How long it took; ``None`` until the end."""
        if self.ended is None:
            return None
        return (datetime.fromisoformat(self.ended) - datetime.fromisoformat(self.began)).total_seconds()


def begin_run(need: WorkNeed, reasons: list[str], inventories: list[str]) -> WatchRun:
    """Record that a run begins now.

    Args:
        need: The work.
        reasons: Why it is done.
        inventories: The inventories of the watcher.

    Raises:
        RunError: The record cannot be written; then nothing may be begun.
    """
    now = time.gmtime()
    kind = need.kind.value.replace(" ", "-")
    holder = Holder.of_this_process("tierwright watch")
    moment = time.strftime(_MOMENT, now)
    try:
        name = _make_folder(f"{kind}-{time.strftime('%Y%m%dT%H%M%SZ', now)}")
        run = WatchRun(name, need.kind, need.about, dict(need.subject), reasons, inventories, holder, moment)
        _write(run)
    except OSError as error:
        raise RunError(
            f"the record of a run cannot be written to {_root()} ({error.strerror}), so nothing is begun; set "
            "XDG_STATE_HOME to a folder that can be written to"
        ) from error
    return run


def end_run(run: WatchRun, outcome: RunOutcome, reason: str = "") -> WatchRun:
    """Record how a run ended, and return the new record.

    Raises:
        OSError: The record cannot be written.
    """
    ended = replace(run, ended=time.strftime(_MOMENT, time.gmtime()), outcome=outcome, reason=reason)
    _write(ended)
    return ended


def run_folder(run: str) -> Path:
    """Return the folder of a run."""
    return _root() / run


def output_path(folder: Path) -> Path:
    """Return the file with the output of the playbooks of the run with this folder."""
    return folder / ARTIFACTS / "stdout"


def read_runs() -> list[WatchRun]:
    """Return the records of all runs, the newest first. An open record of a watcher that has ended is interrupted.

    Records that cannot be read are left out.
    """
    runs = []
    for path in _root().glob(f"*/{_RECORD}"):
        with contextlib.suppress(DamagedError, NotFoundError):
            runs.append(_as_it_is(_read(path)))
    return sorted(runs, key=lambda run: (run.began, run.id), reverse=True)


def find_run(name: str) -> WatchRun:
    """Return the record of a run.

    Raises:
        NotFoundError: There is no such run.
        DamagedError: Its record cannot be read.
    """
    if name != Path(name).name:
        raise NotFoundError(f"there is no run {name!r}; `tierwright runs` lists them")
    return _as_it_is(_read(run_folder(name) / _RECORD))


def open_runs(inventories: list[str]) -> Iterator[WatchRun]:
    """Yield the open records of the watcher of these inventories. Only the watcher itself may ask, before it begins."""
    for path in sorted(_root().glob(f"*/{_RECORD}")):
        with contextlib.suppress(DamagedError, NotFoundError):
            run = _read(path)
            if run.ended is None and run.inventories == inventories:
                yield run


def remove_old_runs(inventories: list[str], keep: int) -> None:
    """Remove the oldest ended runs of the watcher of these inventories.

    The newest run of each kind stays: decisions depend on it.

    Args:
        inventories: The inventories.
        keep: How many runs to keep.
    """
    ended = [run for run in read_runs() if run.ended is not None and run.inventories == inventories]
    newest = {(run.kind, run.about): run.id for run in reversed(ended)}
    for run in ended[keep:]:
        if run.id not in newest.values():
            shutil.rmtree(run_folder(run.id), ignore_errors=True)


def request_cancel(run: WatchRun) -> None:
    """Ask the watcher to cancel a run. It looks every second.

    Raises:
        RunError: The run has ended.
    """
    if run.outcome is not None:
        raise RunError(f"run {run.id} {run.outcome.verb}, so it cannot be cancelled")
    (run_folder(run.id) / _CANCEL).touch(mode=0o600)


def is_cancel_requested(run: WatchRun) -> bool:
    """Say whether somebody has asked to cancel a run."""
    return (run_folder(run.id) / _CANCEL).exists()


def _root() -> Path:
    return state() / _FOLDER


def _make_folder(name: str) -> str:
    """Make a folder that only this user can read, with a name that no run had in this second."""
    _root().mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(1, 1000):
        chosen = name if number == 1 else f"{name}-{number:03}"
        try:
            run_folder(chosen).mkdir(mode=0o700)
        except FileExistsError:
            continue
        _flush(_root())
        return chosen
    raise FileExistsError(17, "a thousand runs began in one second")


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(run: WatchRun) -> None:
    write_durably(run_folder(run.id) / _RECORD, encode(run, indent=2) + "\n")


def _read(path: Path) -> WatchRun:
    try:
        return decode(path.read_text(), WatchRun)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"there is no run {path.parent.name!r}; `tierwright runs` lists them") from error
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path} is not a valid record of a run: {error}; remove its folder") from error


def _as_it_is(run: WatchRun) -> WatchRun:
    """Return the record, with the outcome that an open record of an ended watcher will get."""
    if run.ended is None and run.holder.host == machine() and not run.holder.is_running():
        return replace(run, outcome=RunOutcome.INTERRUPTED, reason="its watcher has ended")
    return run
