# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an action that begins a run takes out of Ansible."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible import constants, context
from ansible.release import __version__ as ansible_version

from ..errors import ChainError
from ..run.turn import PATIENCE, Waiting
from .planning import Planner


def command() -> str:
    """What Ansible was started as, without its options: they may hold secrets."""
    playbooks = context.CLIARGS.get("args", ())
    return " ".join([Path(sys.argv[0]).name, *([playbooks] if isinstance(playbooks, str) else playbooks)])


def repeat() -> str:
    """The command that goes on where this run ended, without variables of the command line: they may be secrets."""
    said = context.CLIARGS
    playbooks = said.get("args", ())
    inventories = [each for each in said.get("inventory") or () if each not in (constants.DEFAULT_HOST_LIST or ())]
    words = [
        Path(sys.argv[0]).name,
        *(word for each in inventories for word in ("-i", _from_here(each))),
        *(["--limit", said["subset"]] if said.get("subset") else []),
        *([playbooks] if isinstance(playbooks, str) else playbooks),
    ]
    return shlex.join(words) + ("  # and the same -e" if said.get("extra_vars") else "")


def _from_here(inventory: str) -> str:
    path = Path(inventory)
    return os.path.relpath(path) if path.is_absolute() and path.is_relative_to(Path.cwd()) else inventory


def planner_of(task_vars: Mapping[str, Any]) -> Planner:
    """Begin to plan with what a task knows.

    Raises:
        ChainError: The inventory does not describe a chain.
    """
    made = Planner(task_vars, ".".join(ansible_version.split(".")[:2]))
    made.chain  # noqa: B018 - a wrong inventory is told before an engine that does not answer
    return made


def waiting(args: Mapping[str, Any], say: Callable[[str], None], first: Callable[[], object] = lambda: None) -> Waiting:
    """How a task's argument ``lock_timeout`` says that it waits for its turn.

    Args:
        args: The task's arguments.
        say: Takes the lines for the user.
        first: Called once before the waiting.

    Raises:
        ChainError: It is no number of seconds.
    """
    given = args.get("lock_timeout")
    try:
        patience = float(PATIENCE if given is None else given)
    except (TypeError, ValueError):
        patience = -1
    if not patience >= 0:
        raise ChainError(f"tier_lock_timeout is {given!r}; expected seconds, or 0 to wait for no other run")
    return Waiting(patience, say, first)
