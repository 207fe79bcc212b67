# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every action plugin of ours does the same way."""

from __future__ import annotations

import traceback
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..errors import TierwrightError, described
from ..foreign import printable_lines
from ..run.journal import Journal


@contextmanager
def told_to_users(subject: str = "this run") -> Iterator[None]:
    """Turn errors into a failed task with a sentence and no traceback.

    Ours have the words already, and so have Ansible's. Any other is a mistake of ours, or a file or an answer of a kind
    that nobody thought of: the sentence says what was worked on, and where; ``-vvv`` shows the whole way.

    Args:
        subject: What the task works on: ``tier 'web'``.
    """
    try:
        yield
    except TierwrightError as error:
        raise AnsibleActionFail(str(error)) from None
    except AnsibleError:
        raise
    except Exception as error:  # noqa: BLE001 - this is the boundary
        Display().vvv(traceback.format_exc())
        raise AnsibleActionFail(unexpected(subject, error)) from None


def unexpected(subject: str, error: BaseException) -> str:
    """A sentence about an error that nobody thought of, with the place in the library that it came from."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if "plugin_utils" in each.filename]
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    words = f"{type(error).__name__}: {described(error)}"
    return printable_lines(
        f"{subject}: this failed{where}, for a reason that Tierwright does not know ({words}). "
        "Please report it with the output of -vvv"
    )


class ChainAction(ActionBase):
    """An action of the whole chain, on the controller: it does :meth:`work`, and errors reach users as sentences."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do the work; Ansible calls this."""
        super().run(tmp, task_vars)
        with told_to_users():
            return self.work(task_vars or {})

    @abstractmethod
    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Do it.

        Args:
            variables: The host's variables.

        Returns:
            The task's result.
        """


class TierAction(ActionBase):
    """An action of one tier in a run, on the controller: it does :meth:`work`, and errors reach users as sentences."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do the work; Ansible calls this."""
        super().run(tmp, task_vars)
        if task_vars is None or not self._task.args.get("run"):
            raise AnsibleActionFail("the argument 'run' is missing; it is 'run' of tierwright.chain.tier_plan's result")
        name = task_vars["inventory_hostname"]
        with told_to_users(f"tier {name!r}"):
            return self.work(name, Journal(Path(self._task.args["run"])), task_vars)

    @abstractmethod
    def work(self, name: str, journal: Journal, variables: dict[str, Any]) -> dict[str, Any]:
        """Do it.

        Args:
            name: The tier.
            journal: The run's.
            variables: The tier's variables.

        Returns:
            The task's result.
        """
