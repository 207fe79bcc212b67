"""A minimal shell for the commands of tests. It changes only a container in memory.

It supports `echo` (with `>&2` or `> PATH`), `cat`, `rm`, `exit` and `kill -9 1`, separated by semicolons. A command
that contains `sleep` runs until it is stopped.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fake_engine.world import Node, StoredContainer

_TRAP = re.compile(r"trap 'exit (\d+)' TERM")
_MISSING = 127
_KILLED = 137


@dataclass
class Result:
    """The output and exit status of a command. `code` is `None` if the command ended together with its container."""

    stdout: bytes = b""
    stderr: bytes = b""
    code: int | None = 0


def runs_until_stopped(command: Sequence[str]) -> bool:
    """Whether a command runs until it is stopped."""
    return "sleep" in " ".join(command)


def exit_status_on_term(command: Sequence[str]) -> int | None:
    """The exit status of a command after SIGTERM; `None` if it has no handler for SIGTERM."""
    match = _TRAP.search(" ".join(command))
    return int(match[1]) if match else None


def run(container: StoredContainer, argv: list[str], stdin: bytes) -> Result:
    """Run a command to its end."""
    result = Result()
    lines = argv[2].split(";") if argv[:2] == ["/bin/sh", "-c"] else [shlex.join(argv)]
    for line in lines:
        words = shlex.split(line)
        if words[0] == "exit":
            result.code = int(words[1])
            break
        if words == ["kill", "-9", "1"]:
            container.state, container.exit_code, result.code = "exited", _KILLED, None
            break
        result.code = _run_line(container, words, stdin, result)
    return result


def _run_line(container: StoredContainer, words: list[str], stdin: bytes, result: Result) -> int:
    match words:
        case ["echo", *arguments, ">&2"]:
            result.stderr += " ".join(arguments).encode() + b"\n"
        case ["echo", *arguments, ">", path]:
            container.files[path] = Node(" ".join(arguments).encode() + b"\n", None, time.time_ns())
            container.changed.append(path)
        case ["echo", *arguments]:
            result.stdout += " ".join(arguments).encode() + b"\n"
        case ["/bin/cat"]:
            result.stdout += stdin
        case ["/bin/cat", path]:
            node = container.files.get(path)
            if node is None:
                result.stderr += f"cat: {path}: No such file or directory\n".encode()
                return 1
            result.stdout += node.content or b""
        case ["/bin/rm", path]:
            del container.files[path]
            container.changed.append(path)
        case _:
            result.stderr += f"{words[0]}: not found\n".encode()
            return _MISSING
    return 0
