# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Ansible asks a connection to run, as a request to the agent.

Ansible writes one command line for a shell, mostly ``/bin/sh -c '… && sleep 0'``. Where that line is provably nothing
but an interpreter with a module on its standard input, the agent can do without shell and interpreter.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from . import housekeeping

Request = dict[str, Any]

#: Appended to each command by ansible-core up to 2.20 for the sake of ssh (ansible/ansible#13876). The script means the
#: same without it, and ends sooner.
_TAIL = " && sleep 0"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(rf"{_NAME.pattern}=")
_SHELL = "/bin/sh"
_INTERPRETER = re.compile(r"[\w./+-]*python[0-9.]*")


def request(line: str, *, has_input: bool) -> Request:
    """Turn a command line into a request.

    Args:
        line: The command line.
        has_input: Whether a module comes on standard input.
    """
    words = _words(line)
    if words is None or line != shlex.join(words) or len(words) != 3 or words[:2] != [_SHELL, "-c"]:  # noqa: PLR2004
        return {"do": "exec", "argv": [_SHELL, "-c", line]}
    script = words[2].removesuffix(_TAIL)
    known = (_module(script) if has_input else housekeeping.request(script)) or {"do": "exec"}
    return {**known, "argv": [_SHELL, "-c", script]}  # that is what it comes to where there is no agent


def shown(request: Request) -> str:
    """The command of a request, for people: without the values of a task's environment, which may be secret."""
    script = str(request["argv"][-1])
    words = _words(script) or []
    count = next((index for index, word in enumerate(words) if not _ASSIGNMENT.match(word)), len(words))
    names = [word.partition("=")[0] + "=…" for word in words[:count]]
    return " ".join([*names, *words[count:]]) if names else script


def _module(script: str) -> Request | None:
    """The request for a shell script that only starts an interpreter; ``None`` if it might do more.

    It does no more if quoting its words again, as Ansible does, gives the script: nothing is left for the shell.
    """
    script = script.rstrip(" ")  # what else is white to Python is part of a word to a shell
    words = _words(script)
    if not words or not _INTERPRETER.fullmatch(words[-1]):
        return None
    environment = dict(word.partition("=")[::2] for word in words[:-1])
    again = [f"{name}={shlex.quote(value)}" for name, value in environment.items()]
    if script != " ".join([*again, words[-1]]) or not all(map(_NAME.fullmatch, environment)):
        return None
    return {"do": "module", "interpreter": words[-1], "env": environment}


def _words(line: str) -> list[str] | None:
    try:
        return shlex.split(line)
    except ValueError:
        return None
