# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a run begins, takes over former state, and is ended by signals.

SIGTERM (a cancelled CI job) and SIGHUP (a closed terminal) end a run as Ctrl-C does: it is cleared away.

Ansible dies of them at once, and its workers, which are sessions of their own, live on.

Taking over the state that a chain has under a former name.

A chain whose inventory does not name it was once called after the inventory's folder, whatever that was: ``inventory``.
Several projects may have left state there. Each takes what is about its own tiers, and leaves the rest.

How everything begins that changes a chain on an engine: under a name of its own, alone, with nothing half-done.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType

from ..compatibility import matrix_store
from ..engine.engine import Engine
from ..errors import TierwrightError
from ..release.tag_transaction import recover
from ..state.claim import claim
from ..state.journal import Journal, runs, runs_folder, state_folder
from ..state.lock import Waiting, take_turn
from ..state.owner import Home
from ..state.plan_records import read_plans
from ..state.status import take_over
from ..tier_build.cleanup import clear_ended_runs

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """What ends the process that made this."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        #: The signal that ended it.
        self.ended_by: signal.Signals | None = None
        #: ``nohup`` ignores SIGHUP.
        self._signals = [each for each in _ENDING if signal.getsignal(each) is not signal.SIG_IGN]

    def take(self) -> None:
        """Handle the signals from now on; ansible-core 2.19.0 handles them itself again with each worker it starts."""
        if self.ended_by is None and self._owner == os.getpid():
            for each in self._signals:
                if signal.getsignal(each) != self._end:
                    signal.signal(each, self._end)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a worker that has not got handlers of its own yet
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.ended_by = signal.Signals(number)
        for each in self._signals:  # whoever sends more of them has to wait, but for a second Ctrl-C
            signal.signal(each, signal.default_int_handler if each is signal.SIGINT else signal.SIG_IGN)
        told = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        for child in multiprocessing.active_children():
            with contextlib.suppress(OSError):
                os.kill(child.pid or 0, told) if child.pid else None
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)


def adopt(chain: str, home: Home, warn: Callable[[str], None]) -> None:
    """Take over what is the chain's own of the state under its former name, where it has one.

    Args:
        chain: The chain's name now.
        home: Where it lives: its tiers, and its former name.
        warn: Called with what cannot be read or written.
    """
    old = state_folder(home.former) if home.former else None
    if old is None or not old.is_dir():
        return
    images = dict(each.split(" ", 1) for each in home.tiers)
    for path in sorted(old.glob("promotion-*.json")):
        if _moved_in(path) and _moved_in(path) <= set(images.values()):
            _take(path, state_folder(chain) / path.name)
    for journal in list(runs(home.former)):
        if not journal.is_alive() and _is_of(journal, images.values()):
            _take(journal.folder, runs_folder(chain) / journal.run)
    take_over(home.former, chain, images, warn)
    _adopt_matrices(old, chain, images)


def _moved_in(path: Path) -> set[str]:
    """Repositories whose tags an interrupted promotion moves; none where it cannot be read."""
    try:
        return {str(move["repository"]) for move in json.loads(path.read_text())["moves"]}
    except (OSError, ValueError, TypeError, KeyError):
        return set()


def _is_of(journal: Journal, repositories: Collection[str]) -> bool:
    """Say whether a run was over tiers whose images lie in ``repositories``, all of them."""
    try:
        _chain, planned = read_plans(journal)
    except (TierwrightError, ValueError, TypeError, KeyError):
        return False
    return bool(planned) and all(each.tier.image in repositories for each in planned.values())


def _take(path: Path, to: Path) -> None:
    if not to.exists():
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.replace(to)


def _adopt_matrices(old: Path, chain: str, tiers: Collection[str]) -> None:
    if matrix_store.is_kept(state_folder(chain)):
        return
    with contextlib.suppress(TierwrightError, OSError):  # matrices only tell of what was
        for matrix in matrix_store.kept_matrices(old):
            if set(matrix.tiers) <= set(tiers):
                matrix_store.keep_matrix(state_folder(chain), dataclasses.replace(matrix, chain=chain))


def begin(engine: Engine, chain: str, home: Home, command: str, waiting: Waiting) -> Journal:
    """Begin a run: claim the chain's name, wait for the turn, then clear away what killed runs left half-done.

    Args:
        engine: The engine.
        chain: The chain's name.
        home: Where it lives.
        command: What this run was started as.
        waiting: What to do where another run goes on.

    Returns:
        The run's journal, which the caller ends where the run goes no further.

    Raises:
        RunError: Another project has a chain of this name, or another run goes on for longer than the user wants to
            wait.
        EngineError: The engine refused.
    """
    claim(engine, chain, home)  # before the turn: a run of another project is not to be waited for
    journal = take_turn(chain, command, waiting)
    try:
        adopt(chain, home, waiting.say)
        recover(engine, chain, waiting.say)
        for run in clear_ended_runs(engine, chain, but=journal):
            waiting.say(f"cleared what the killed run {run} left behind")
    except BaseException:
        journal.end()
        raise
    return journal
