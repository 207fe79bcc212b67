"""As much of a shell as the questions to an engine need. It touches nothing but a container in memory.

It knows `echo` (with `>&2` or `> PATH`), `cat`, `rm`, `exit` and `kill -9 1`, with semicolons between; a line with
`sleep` waits.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fake_engine.world import HeldContainer, Node

_TRAP = re.compile(r"trap 'exit (\d+)' TERM")
_MISSING = 127
_KILLED = 137


@dataclass
class Done:
    """How a command ended; without a code it ended with its container."""

    stdout: bytes = b""
    stderr: bytes = b""
    code: int | None = 0


def waits(command: Sequence[str]) -> bool:
    """Say whether a command goes on until it is ended."""
    return "sleep" in " ".join(command)


def listens(command: Sequence[str]) -> int | None:
    """The status with which a command ends when it is asked to; `None` where it does not listen."""
    found = _TRAP.search(" ".join(command))
    return int(found[1]) if found else None


def run(container: HeldContainer, argv: list[str], stdin: bytes) -> Done:
    """Run a command to its end."""
    done = Done()
    lines = argv[2].split(";") if argv[:2] == ["/bin/sh", "-c"] else [shlex.join(argv)]
    for line in lines:
        words = shlex.split(line)
        if words[0] == "exit":
            done.code = int(words[1])
            break
        if words == ["kill", "-9", "1"]:
            container.state, container.exit_code, done.code = "exited", _KILLED, None
            break
        done.code = _step(container, words, stdin, done)
    return done


def _step(container: HeldContainer, words: list[str], stdin: bytes, done: Done) -> int:
    match words:
        case ["echo", *said, ">&2"]:
            done.stderr += " ".join(said).encode() + b"\n"
        case ["echo", *said, ">", path]:
            container.files[path] = Node(" ".join(said).encode() + b"\n", None, time.time_ns())
            container.changed.append(path)
        case ["echo", *said]:
            done.stdout += " ".join(said).encode() + b"\n"
        case ["/bin/cat"]:
            done.stdout += stdin
        case ["/bin/cat", path]:
            node = container.files.get(path)
            if node is None:
                done.stderr += f"cat: {path}: No such file or directory\n".encode()
                return 1
            done.stdout += node.content or b""
        case ["/bin/rm", path]:
            del container.files[path]
            container.changed.append(path)
        case _:
            done.stderr += f"{words[0]}: not found\n".encode()
            return _MISSING
    return 0
