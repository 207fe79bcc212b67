# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The common base of the action plugins, and what they read from Ansible: the chain, options of the run, proxies."""

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

from ..errors import ChainError, ContractError, SealError, TierwrightError, describe_error
from ..inventory.chain_inventory import ChainInventory
from ..inventory.planner import Planner
from ..parent_process import ParentProcess
from ..records import encode
from ..state.journal import Journal
from ..state.lock import LOCK_TIMEOUT, Waiting
from ..state.tier_records import note_disturbance
from ..text import printable_lines


@contextmanager
def errors_as_messages(subject: str = "this run") -> Iterator[None]:
    """Turn errors into a failed task with a message and without a traceback.

    Errors of Tierwright and of Ansible have a message for users. For any other error, the message contains the subject
    and the place in the library; ``-vvv`` prints the traceback.

    Args:
        subject: What the task works on, for example ``tier 'web'``.

    Raises:
        AnsibleError: Instead of any error.
    """
    try:
        yield
    except TierwrightError as error:
        raise AnsibleActionFail(str(error)) from None
    except AnsibleError:
        raise
    except Exception as error:  # noqa: BLE001 - this is the boundary to Ansible
        Display().vvv(traceback.format_exc())
        raise AnsibleActionFail(unexpected_error(subject, error)) from None


def unexpected_error(subject: str, error: BaseException) -> str:
    """A message about an error that the library does not expect, with the place in the library where it was raised."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "plugin_utils" in frame.filename]
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    description = f"{type(error).__name__}: {describe_error(error)}"
    return printable_lines(
        f"{subject}: failed{where} with an unexpected error ({description}). Please report it with the output of -vvv"
    )


#: Errors whose cause is the tier itself, its parent, or its tests. All others come from outside.
_OF_THE_TIER = (ChainError, ContractError, SealError)


class ChainAction(ActionBase):
    """An action on the whole chain. It runs :meth:`work` on the controller, and turns errors into messages."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do the work; Ansible calls this."""
        super().run(tmp, task_vars)
        with errors_as_messages():
            return self.work(task_vars or {})

    @abstractmethod
    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Do the action's work.

        Args:
            variables: The host's variables.

        Returns:
            The task's result.
        """


class TierAction(ActionBase):
    """An action on one tier in a run. It runs :meth:`work` on the controller, and turns errors into messages."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do the work; Ansible calls this."""
        super().run(tmp, task_vars)
        if task_vars is None or not self._task.args.get("run"):
            raise AnsibleActionFail(
                "the argument 'run' is missing; expected the value 'run' from the result of tierwright.chain.tier_plan"
            )
        name, journal = task_vars["inventory_hostname"], Journal(Path(self._task.args["run"]))
        with errors_as_messages(f"tier {name!r}"):
            try:
                return self.work(name, journal, task_vars)
            except Exception as error:
                if not isinstance(error, _OF_THE_TIER):
                    note_disturbance(journal, name, str(error))
                raise

    @abstractmethod
    def work(self, name: str, journal: Journal, variables: dict[str, Any]) -> dict[str, Any]:
        """Do the action's work.

        Args:
            name: The tier.
            journal: The run's journal.
            variables: The tier's variables.

        Returns:
            The task's result.
        """


def end_with_parent() -> ParentProcess:
    """Interrupt this process when ansible-playbook ends: a worker survives that, and would work beside the next run.

    Returns:
        The parent process.
    """
    parent = ParentProcess()
    parent.interrupt_with()
    return parent


def command() -> str:
    """The command line of Ansible, without its options: these may contain secrets."""
    playbooks = context.CLIARGS.get("args", ())
    return " ".join([_program(), *([playbooks] if isinstance(playbooks, str) else playbooks)])


def resume_command() -> str:
    """The command that continues after this run, without the values of ``-e``: these may be secrets."""
    arguments = context.CLIARGS
    playbooks = arguments.get("args", ())
    default_inventories = constants.DEFAULT_HOST_LIST or ()
    inventories = [path for path in arguments.get("inventory") or () if path not in default_inventories]
    words = [
        _program(),
        *(word for path in inventories for word in ("-i", _relative_path(path))),
        *(["--limit", arguments["subset"]] if arguments.get("subset") else []),
        *([playbooks] if isinstance(playbooks, str) else playbooks),
    ]
    return shlex.join(words) + ("  # and the same -e" if arguments.get("extra_vars") else "")


def inventories() -> tuple[str, ...]:
    """The inventories of this run, as absolute paths; a list of hosts stays as it is."""
    sources = context.CLIARGS.get("inventory") or constants.DEFAULT_HOST_LIST or ()
    return tuple(str(source) if "," in source else str(Path(source).absolute()) for source in sources)


def _program() -> str:
    name = Path(sys.argv[0]).name
    return "ansible-playbook" if name == "__main__.py" else name  # python -m ansible playbook


def _relative_path(inventory: str) -> str:
    path = Path(inventory)
    return os.path.relpath(path) if path.is_absolute() and path.is_relative_to(Path.cwd()) else inventory


def read_inventory(task_vars: Mapping[str, Any]) -> ChainInventory:
    """Read the chain from a task's variables.

    Raises:
        ChainError: The inventory does not describe a chain.
    """
    inventory = ChainInventory(task_vars)
    inventory.chain  # noqa: B018 - report a wrong inventory before an engine that does not answer
    return inventory


def make_planner(task_vars: Mapping[str, Any]) -> Planner:
    """Read the chain from a task's variables, and prepare a plan.

    Raises:
        ChainError: The inventory does not describe a chain.
    """
    return Planner(read_inventory(task_vars), ".".join(ansible_version.split(".")[:2]))


def read_waiting(
    args: Mapping[str, Any], say: Callable[[str], None], first: Callable[[], object] = lambda: None
) -> Waiting:
    """Read a task's argument ``lock_timeout``: how long the run waits for another run of the chain.

    Args:
        args: The task's arguments.
        say: Called with lines for the user.
        first: Called once before the waiting begins.

    Raises:
        ChainError: The argument is not a number of seconds.
    """
    value = args.get("lock_timeout")
    try:
        timeout = float(LOCK_TIMEOUT if value is None else value)
    except (TypeError, ValueError):
        timeout = -1
    if not timeout >= 0:
        raise ChainError(f"tier_lock_timeout is {value!r}; expected seconds, or 0 to wait for no other run")
    return Waiting(timeout, say, first)


def write_answer(variable: str, path: Path, answer: Any) -> None:
    """Write an answer as JSON for the program that asked for it.

    Args:
        variable: The variable that names the file, for messages.
        path: The file.
        answer: A record.

    Raises:
        ChainError: The file cannot be written.
    """
    try:
        path.write_text(encode(answer, indent=2) + "\n")
    except OSError as error:
        raise ChainError(f"{variable}: the answer cannot be written to {path}: {error.strerror}") from error


#: Environment variables that configure proxies, in both spellings that programs read.
_PROXY_VARIABLES = tuple(
    spelling for name in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy") for spelling in (name, name.upper())
)


def proxies(tier: str, enabled: Any) -> dict[str, str]:
    """The controller's proxy variables for the tasks of a tier, if ``tier_proxy`` is true.

    Tasks see them. They get into no layer, and into no settings of an image.

    Args:
        tier: The tier.
        enabled: The value of ``tier_proxy``; ``None`` if it is not set.

    Returns:
        Values by name of the environment variable.

    Raises:
        ChainError: The value is not a boolean, or the address of a proxy contains a user or a password. Everybody who
            lists the processes of the container could read it.
    """
    try:
        wanted = boolean(False if enabled is None else enabled)
    except TypeError as error:
        raise ChainError(f"tier {tier!r}: tier_proxy is {enabled!r}; expected true or false") from error
    variables = {name: value for name in _PROXY_VARIABLES if (value := os.environ.get(name))} if wanted else {}
    for name, value in variables.items():
        if "@" in urlsplit(value if "//" in value else f"//{value}").netloc and not name.lower().startswith("no_"):
            raise ChainError(
                f"tier {tier!r}: tier_proxy passes {name} to tasks, but its value contains a user or a password, which "
                "every task would show; use a proxy without a login, for example a proxy on this machine that logs in "
                "to the other proxy"
            )
    return variables
