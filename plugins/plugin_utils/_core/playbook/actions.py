# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Base of all actions, options of a run, proxies.

What every action plugin of ours does the same way.

What an action that begins a run takes out of Ansible.

The controller's proxies, for the tasks of a build container that want them: ``tier_proxy``.
"""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible import constants, context
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version
from ansible.utils.display import Display

from ..errors import ChainError, TierwrightError, described
from ..inventory.planner import Planner
from ..state.journal import Journal
from ..state.lock import PATIENCE, Waiting
from ..text import printable_lines


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


#: Variables of the environment that say which proxy to use, in both spellings that programs read.
_NAMES = tuple(
    spelling for name in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy") for spelling in (name, name.upper())
)


def proxies(tier: str, asked: Any) -> dict[str, str]:
    """The proxy variables of this process's environment, where ``tier_proxy`` asks for them.

    They reach tasks, and no layer and no image's settings.

    Args:
        tier: The tier.
        asked: The value of ``tier_proxy``; ``None`` where it is not set.

    Raises:
        ChainError: It is no truth value, or a proxy's address has a user or a password in it: each task would show it
            to whoever lists the container's processes.
    """
    try:
        wanted = boolean(False if asked is None else asked)
    except TypeError as error:
        raise ChainError(f"tier {tier!r}: tier_proxy is {asked!r}; expected true or false") from error
    found = {name: value for name in _NAMES if (value := os.environ.get(name))} if wanted else {}
    for name, value in found.items():
        if "@" in urlsplit(value if "//" in value else f"//{value}").netloc and not name.lower().startswith("no_"):
            raise ChainError(
                f"tier {tier!r}: tier_proxy is to pass {name} on, but that has a user or a password in it, which every "
                "task would show; use a proxy that needs none, such as one on this machine that logs in at the other"
            )
    return found
