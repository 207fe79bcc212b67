# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a playbook of this collection: for its answer, a JSON file, or in place of this process.

Only Ansible itself can read inventories, variables and vaults.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from .. import errors
from ..errors import PlanError, RunError, TierwrightError, wrap_errors
from ..progress import work
from ..records import decode
from ..text import printable_lines

#: The beginning of the command line: the ansible-playbook of this Python.
_PLAYBOOK = (sys.executable, "-m", "ansible", "playbook")
#: Seconds between two looks whether the answer is still wanted, and seconds to end in when it is not.
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 2.0


class Refusal(msgspec.Struct, frozen=True):
    """What a playbook writes instead of an answer: an error of this library."""

    #: The name of its class.
    kind: str
    message: str

    @classmethod
    def of(cls, error: TierwrightError) -> Refusal:
        """Return the record of an error."""
        return cls(type(error).__name__, str(error))

    @property
    def error(self) -> TierwrightError:
        """The same error again."""
        kind = getattr(errors, self.kind, PlanError)
        is_ours = isinstance(kind, type) and issubclass(kind, TierwrightError)
        return kind(self.message) if is_ours else PlanError(self.message)


def ask(
    playbook: str,
    variable: str,
    arguments: Sequence[str],
    say: Callable[[str], None],
    *,
    more: Mapping[str, Any] | None = None,
    seconds: float | None = None,
    is_unwanted: Callable[[], bool] = lambda: False,
) -> str:
    """Run a playbook, and return the answer that it wrote.

    Args:
        playbook: The playbook.
        variable: The variable that names the file for the answer.
        arguments: Arguments for ansible-playbook.
        say: Called with the output of ansible-playbook if there is no answer.
        more: More variables for the run.
        seconds: Limit of its duration; ``None`` for no limit.
        is_unwanted: Called several times in a second. As soon as it returns true, the playbook is ended.

    Raises:
        RunError: The answer is not wanted any more.
        TierwrightError: The error that the playbook wrote instead of an answer; see :class:`Refusal`.
        PlanError: ansible-playbook failed for another reason, or wrote no answer.
    """
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        file = Path(folder, "answer.json")
        variables = json.dumps({**(more or {}), variable: str(file)})
        command = [*_PLAYBOOK, playbook, "-e", variables, *arguments]
        with work(f"ansible-playbook {playbook}"):
            status, output = _run(command, f"ansible-playbook {playbook}", seconds, is_unwanted)
        if status != 0 and file.exists():
            with wrap_errors(f"the answer of ansible-playbook {playbook}", PlanError):
                refusal = decode(file.read_text(), Refusal)
            raise refusal.error
        if status != 0 or not file.exists():
            say(printable_lines(output.strip()))
            raise PlanError(f"ansible-playbook {playbook} gave no answer; its output is above")
        return file.read_text()


def _run(command: Sequence[str], name: str, seconds: float | None, is_unwanted: Callable[[], bool]) -> tuple[int, str]:
    """Run a command, and return its exit status and its output.

    Raises:
        PlanError: It took too long.
        RunError: Its answer is not wanted any more.
    """
    deadline = time.monotonic() + (math.inf if seconds is None else seconds)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    output, _ = process.communicate(timeout=_POLL_SECONDS)
                    return process.returncode, output
                if is_unwanted():
                    raise RunError(f"{name} was ended, because its answer is not wanted any more")
                if time.monotonic() > deadline:
                    raise PlanError(f"{name} did not end within {seconds:g} seconds")
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End a playbook, unless it has ended. An interrupted one removes its temporary files."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def become(playbook: str, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by ansible-playbook. Its output is shown while it works, and signals reach it.

    Args:
        playbook: The playbook.
        arguments: Arguments for ansible-playbook.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [*_PLAYBOOK, playbook, *arguments])  # noqa: S606 - no shell is needed
