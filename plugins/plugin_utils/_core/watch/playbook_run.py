# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs playbooks through ansible-runner, in the folder of a run.

The folder then has ``artifacts/stdout``, ``artifacts/status``, ``artifacts/rc`` and ``artifacts/job_events``. What
ansible-runner would store besides them is left out: the environment, the command, facts, and results and arguments of
tasks. Any of these may contain a secret, also of tasks that do not print it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ..errors import RunError, describe_error
from ..local_files import write_atomically
from ..text import one_line, printable
from . import playbook_start
from .playbook_process import GRACE, read_process
from .run_records import ARTIFACTS, RunOutcome

#: Seconds between two looks whether a run shall end.
_POLL_SECONDS = 0.5
#: Kinds of events that are stored. The output has the text of all others.
_STORED = frozenset(
    {
        *("playbook_on_start", "playbook_on_play_start", "playbook_on_stats"),
        *("runner_on_failed", "runner_on_unreachable", "runner_item_on_failed", "warning", "error"),
    }
)
_FAILURES = frozenset({"runner_on_failed", "runner_on_unreachable"})
_LONGEST_REASON = 400
_LONGEST_RESULT = 100_000
#: ansible-runner sets them, and they would override ``ansible.cfg``.
_NOT_SET = ("ANSIBLE_HOST_KEY_CHECKING", "ANSIBLE_RETRY_FILES_ENABLED")


class PlaybookEnd(msgspec.Struct, frozen=True):
    """How playbooks ended."""

    outcome: RunOutcome
    #: Why, in one sentence; empty if they succeeded.
    reason: str = ""


def load_runner() -> None:
    """Check that ansible-runner is installed.

    Raises:
        RunError: It is not.
    """
    _import("ansible_runner.runner")


def run_playbooks(
    folder: Path,
    playbooks: Sequence[str],
    arguments: Sequence[str],
    why_end: Callable[[], PlaybookEnd | None],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> PlaybookEnd:
    """Run playbooks one after the other, until the first one fails.

    Args:
        folder: The folder of the run. Only this user can read it.
        playbooks: Names or paths of playbooks.
        arguments: Options for ansible-playbook.
        why_end: Called twice in a second. As soon as it returns an end, the playbook is interrupted. If it does not
            end then, it is killed.
        clock: Returns a time in seconds.

    Returns:
        How they ended; what ``why_end`` returned if they were interrupted.

    Raises:
        RunError: ansible-runner is not installed, or failed.
    """
    command = [sys.executable, "-m", "ansible", "playbook", *playbooks, *arguments]
    ending, failures = _Ending(folder, why_end, clock), _Failures()
    with open(os.memfd_create("tierwright-start"), "w+") as start:  # noqa: PTH123 - it has no path
        config = _configure(folder)
        environment = _environment(config.env)
        json.dump({"command": command, "environment": environment}, start)
        start.flush()
        program = [sys.executable, "-I", playbook_start.__file__]
        config.command = [*program, str(os.getpid()), str(start.fileno()), str(folder)]
        config.env = {}
        runner = _import("ansible_runner.runner").Runner(
            config, cancel_callback=ending.is_over, event_handler=failures.take
        )
        try:
            _status, code = runner.run()
        except Exception as error:
            raise RunError(f"ansible-runner failed: {type(error).__name__}: {describe_error(error)}") from error
    if ending.end is not None:
        return ending.end
    if code == 0:
        return PlaybookEnd(RunOutcome.SUCCEEDED)
    return PlaybookEnd(RunOutcome.FAILED, failures.first or f"ansible-playbook ended with status {code}")


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise RunError("the Python package ansible-runner is not installed; install tierwright[watch]") from error


def _configure(folder: Path) -> Any:
    (folder / "env").mkdir(mode=0o700, exist_ok=True)
    # ansible-runner reads this setting only from a file.
    write_atomically(folder / "env" / "settings", json.dumps({"pexpect_timeout": _POLL_SECONDS}))
    config = _import("ansible_runner.config.runner").RunnerConfig(
        private_data_dir=str(folder),
        project_dir=str(Path.cwd()),  # where ansible-playbook finds ansible.cfg
        artifact_dir=str(folder),
        ident=ARTIFACTS,
        playbook="none",  # the command is replaced
        fact_cache_type="",
        suppress_env_files=True,
        omit_event_data=True,
        quiet=True,
    )
    config.prepare()
    return config


def _environment(prepared: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the playbook: that of the watcher, and what ansible-runner adds to it."""
    environment = {**prepared, "ANSIBLE_NOCOLOR": "1"}
    for name in _NOT_SET:
        environment.pop(name, None)
        if name in os.environ:
            environment[name] = os.environ[name]
    return environment


class _Ending:
    """Ends a playbook: first with an interruption, then, if it does not end, by letting ansible-runner kill it."""

    def __init__(self, folder: Path, why_end: Callable[[], PlaybookEnd | None], clock: Callable[[], float]) -> None:
        self._folder, self._why_end, self._clock = folder, why_end, clock
        self._since: float | None = None
        self._is_told = False
        #: Why it is ended; ``None`` if it goes on.
        self.end: PlaybookEnd | None = None

    def is_over(self) -> bool:
        """Say whether ansible-runner shall kill the playbook."""
        if self.end is None:
            self.end = self._why_end()
        if self.end is None:
            return False
        if self._since is None:
            self._since = self._clock()
        if not self._is_told and (process := read_process(self._folder)) is not None:
            process.signal(signal.SIGINT)
            self._is_told = True
        return self._clock() - self._since > GRACE


class _Failures:
    """Selects the events that are stored, and remembers the first failure."""

    def __init__(self) -> None:
        #: The message of the first failed task; empty if none failed.
        self.first = ""

    def take(self, event: Mapping[str, Any]) -> bool:
        """Say whether an event is stored. ansible-runner calls this for each event."""
        kind = event.get("event")
        if kind in _FAILURES and not self.first:
            self.first = _summarize(str(event.get("stdout", "")))
        return kind in _STORED


def _summarize(output: str) -> str:
    """Return the message of a failed task from its output, which has its result as JSON or YAML."""
    _host, _arrow, result = output.partition("=>")
    text = (result or output).strip("\r\n")
    message = None
    with contextlib.suppress(yaml.YAMLError, AttributeError, RecursionError):
        message = yaml.safe_load(text[:_LONGEST_RESULT]).get("msg")
    return printable(one_line(str(message or text), _LONGEST_REASON))
