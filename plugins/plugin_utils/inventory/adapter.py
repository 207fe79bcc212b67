# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every action plugin of ours does the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail

from ..errors import ChainError, TierwrightError
from ..run.journal import Journal
from ..run.turn import PATIENCE, Waiting


@contextmanager
def told_to_users() -> Iterator[None]:
    """Turn our errors into a failed task with the same words and no traceback."""
    try:
        yield
    except TierwrightError as error:
        raise AnsibleActionFail(str(error)) from None


def tier_and_journal(args: Mapping[str, Any], task_vars: Mapping[str, Any] | None) -> tuple[str, Journal]:
    """The tier that a task runs for, and the journal that its argument ``run`` names."""
    if task_vars is None or not args.get("run"):
        raise AnsibleActionFail("the argument 'run' is missing; it is 'run' of tierwright.chain.tier_plan's result")
    return task_vars["inventory_hostname"], Journal(Path(args["run"]))


def command() -> str:
    """What Ansible was started as, without its options: they may hold secrets."""
    return " ".join(["ansible-playbook", *context.CLIARGS.get("args", ())])


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
