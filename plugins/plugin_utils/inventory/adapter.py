# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every action plugin of ours does the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..errors import TierwrightError
from ..run.journal import Journal


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
