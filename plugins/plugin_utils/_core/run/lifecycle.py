# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Begins a run, adopts the state of a former chain name, and ends a run on signals.

SIGTERM (a cancelled CI job) and SIGHUP (a closed terminal) end a run as Ctrl-C does: its temporary things are removed.
Without this, these signals kill Ansible at once, but its workers continue, because they are sessions of their own.

Earlier versions named a chain after its inventory's folder, even if that was a common name such as ``inventory``. So
several projects can have state under that name. Each project adopts only the state of its own tiers.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType

import msgspec

from ..compatibility import matrix_store
from ..engine.engine import Engine
from ..errors import TierwrightError
from ..release.tag_transaction import recover
from ..state.claim import claim, claimed_by_others
from ..state.journal import Journal, runs, runs_folder, state_folder
from ..state.lock import Waiting, begin_exclusive_run
from ..state.owner import Home
from ..state.plan_records import read_plans
from ..state.status import take_over
from ..tier_build.cleanup import clear_ended_runs

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Handlers for the signals that end the process that created this object."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        #: The signal that ended the process.
        self.ended_by: signal.Signals | None = None
        #: The signals to handle. A signal that is ignored stays ignored: ``nohup`` ignores SIGHUP.
        self._signals = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]

    def install(self) -> None:
        """Install the handlers. This must be repeated: ansible-core 2.19.0 replaces them with each worker it starts."""
        if self.ended_by is None and self._owner == os.getpid():
            for number in self._signals:
                if signal.getsignal(number) != self._end:
                    signal.signal(number, self._end)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a worker that has not set its own handlers yet
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.ended_by = signal.Signals(number)
        for other in self._signals:  # ignore more signals, except a second Ctrl-C
            signal.signal(other, signal.default_int_handler if other is signal.SIGINT else signal.SIG_IGN)
        forwarded = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        for child in multiprocessing.active_children():
            with contextlib.suppress(OSError):
                os.kill(child.pid or 0, forwarded) if child.pid else None
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)


def adopt_former_state(engine: Engine, chain: str, home: Home, warn: Callable[[str], None]) -> None:
    """Adopt the chain's own state under its former name, if it has one.

    Repositories that another project claims are not the chain's own.

    Args:
        engine: The engine, for the claims on it.
        chain: The chain's current name.
        home: Its project, with its tiers and its former name.
        warn: Called with a line if a status file is damaged and was set aside.
    """
    old = state_folder(home.former) if home.former else None
    if old is None or not old.is_dir():
        return
    others = claimed_by_others(engine, chain, home)
    named = (entry.split(" ", 1) for entry in home.tiers)
    repositories = {tier: repository for tier, repository in named if repository not in others}
    for path in sorted(old.glob("promotion-*.json")):
        moved = _read_moved_repositories(path)
        if moved and moved <= set(repositories.values()):
            _move(path, state_folder(chain) / path.name)
    for journal in list(runs(home.former)):
        if not journal.is_alive() and _has_only(journal, repositories.values()):
            _move(journal.folder, runs_folder(chain) / journal.run)
    take_over(home.former, chain, repositories, warn)
    _adopt_matrices(old, chain, repositories)


def _read_moved_repositories(path: Path) -> set[str]:
    """Return the repositories whose tags an interrupted promotion moves; empty if its record cannot be read."""
    try:
        return {str(move["repository"]) for move in json.loads(path.read_text())["moves"]}
    except (OSError, ValueError, TypeError, KeyError):
        return set()


def _has_only(journal: Journal, repositories: Collection[str]) -> bool:
    """Say whether the images of all tiers of a run are in ``repositories``."""
    try:
        _chain, planned = read_plans(journal)
    except (TierwrightError, ValueError, TypeError, KeyError):
        return False
    return bool(planned) and all(plan.tier.image in repositories for plan in planned.values())


def _move(path: Path, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.replace(target)


def _adopt_matrices(old: Path, chain: str, tiers: Collection[str]) -> None:
    if matrix_store.has_matrices(state_folder(chain)):
        return
    with contextlib.suppress(TierwrightError, OSError):  # a run does not need old matrices
        for matrix in matrix_store.saved_matrices(old):
            if set(matrix.tiers) <= set(tiers):
                matrix_store.save_matrix(state_folder(chain), msgspec.structs.replace(matrix, chain=chain))


def begin(engine: Engine, chain: str, home: Home, command: str, waiting: Waiting) -> Journal:
    """Begin a run: claim the chain's name, wait for other runs, and clear what killed runs left behind.

    Args:
        engine: The engine.
        chain: The chain's name.
        home: Its project.
        command: The command of this run, which waiting runs print.
        waiting: How to wait for an active run.

    Returns:
        The run's journal. If the run stops early, the caller must end the journal.

    Raises:
        RunError: Another project has a chain with this name, or the other run was still active after the timeout.
        EngineError: The engine rejected a request.
    """
    claim(engine, chain, home)  # first, so that this never waits for a run of another project
    journal = begin_exclusive_run(chain, command, waiting)
    try:
        adopt_former_state(engine, chain, home, waiting.say)
        recover(engine, chain, waiting.say)
        for run in clear_ended_runs(engine, chain, but=journal):
            waiting.say(f"removed what the killed run {run} left behind")
    except BaseException:
        journal.end()
        raise
    return journal
