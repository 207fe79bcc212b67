# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How everything begins that changes a chain on an engine: under a name of its own, alone, with nothing half-done."""

from __future__ import annotations

from ..engine.engine import Engine
from .adopt import adopt
from .claim import claim
from .cleanup import clear_ended_runs
from .home import Home
from .journal import Journal
from .moves import recover
from .turn import Waiting, take_turn


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
