# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How everything begins that changes a chain on an engine: alone, and with nothing half-done by others."""

from __future__ import annotations

import docker

from .cleanup import clear_ended_runs
from .journal import Journal
from .moves import recover
from .turn import Waiting, take_turn


def begin(client: docker.DockerClient, chain: str, command: str, waiting: Waiting) -> Journal:
    """Begin a run: wait for the turn, then bring to an end and clear away what killed runs left.

    Args:
        client: The engine.
        chain: The chain's name.
        command: What this run was started as.
        waiting: What to do where another run goes on.

    Returns:
        The run's journal, which the caller ends where the run goes no further.

    Raises:
        RunError: Another run goes on for longer than the user wants to wait.
        EngineError: The engine refused.
    """
    journal = take_turn(chain, command, waiting)
    try:
        recover(client, chain, waiting.say)
        for run in clear_ended_runs(client, chain, but=journal):
            waiting.say(f"cleared what the killed run {run} left behind")
    except BaseException:
        journal.end()
        raise
    return journal
