# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The protocol between a test session and a shell that stays in a container.

A request is one line: a token that nobody can guess, and the words of a command. The shell writes ``TOKEN<`` before the
command and ``TOKEN>SSSL`` after it, to both of its streams: SSS is the exit status, and L is 1 if the command has left
processes behind. Such processes could still write, so the shell ends itself after this answer.

All that a container writes is hostile. It can invent an answer, as it could invent the output of any command. It cannot
make the reader keep more than the limit, and a command cannot write into the answer of the next one by accident.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

import msgspec

from ..engine.streams import STDERR, STDOUT, Output
from ..errors import EngineError

#: What the shell writes to standard output when it is ready.
GREETING = b"ready\n"

#: Request that ends the shell.
END = b"end\n"

#: The shell script. It uses builtin commands only. A command must not notice it: no variable is exported, those that
#: bash adds are removed, and the words of the command replace all others. Messages of this shell about killed commands
#: are dropped, because an engine that runs a command does not write them. The list of all processes after a command has
#: those that it left behind.
SCRIPT = r"""
exec 3>&2 2>/dev/null
unset SHLVL OLDPWD
echo ready
while read -r tierwright_token tierwright_words && [ "$tierwright_token" != end ]; do
    tierwright_words=$(printf '%b.' "$tierwright_words")
    set -- /proc/[0-9]*
    tierwright_processes=$*
    eval "set -- ${tierwright_words%.}"
    printf '%s<' "$tierwright_token" >&3
    printf '%s<' "$tierwright_token"
    (exec "$@") </dev/null 2>&3 3>&-
    tierwright_status=$?
    set -- /proc/[0-9]*
    [ "$*" = "$tierwright_processes" ] && tierwright_left=0 || tierwright_left=1
    printf '%s>%03d%s' "$tierwright_token" "$tierwright_status" "$tierwright_left" >&3
    printf '%s>%03d%s' "$tierwright_token" "$tierwright_status" "$tierwright_left"
    [ "$tierwright_left" = 0 ] || exit 0
done
"""

#: Bytes that stand for themselves in a request.
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._=:,+@-")
_RESULT = re.compile(rb"([0-9]{3})([01])")
_RESULT_SIZE = 4


def request(token: str, argv: Sequence[str]) -> bytes:
    """Return the line that makes the shell run a command.

    Args:
        token: Hexadecimal digits, different for each request.
        argv: The command and its arguments.
    """
    words = shlex.join(argv).encode(errors="surrogateescape")
    encoded = "".join(chr(byte) if byte in _PLAIN else f"\\0{byte:03o}" for byte in words)
    return f"{token} {encoded}\n".encode()


class ShellResult(msgspec.Struct, frozen=True):
    """How a command ended."""

    #: Exit status.
    status: int
    #: Whether it left processes behind. Then the shell has ended, too.
    left_processes: bool


class ShellAnswer:
    """Finds the output and the result of one command in what the shell writes.

    What arrives before the beginning of the command comes from processes that earlier commands left, and is dropped.
    What arrives after the end comes from processes that this command left, and belongs to its output.
    """

    def __init__(self, token: str) -> None:
        """Take the token of the request."""
        self.output = Output()
        self._streams = {
            STDOUT: _Stream(token.encode(), self.output.stdout),
            STDERR: _Stream(token.encode(), self.output.stderr),
        }

    @property
    def begun(self) -> bool:
        """Whether the shell has read the request, so that the command may have had an effect."""
        return any(stream.begun for stream in self._streams.values())

    @property
    def result(self) -> ShellResult | None:
        """How the command ended; ``None`` until both streams have told it."""
        results = [stream.result for stream in self._streams.values()]
        return results[0] if None not in results else None

    def take(self, stream: int, data: bytes) -> None:
        """Take what the shell wrote; ``stream`` is 1 for standard output, 2 for standard error.

        Raises:
            EngineError: What follows the end of the command is not a result.
            TooMuchOutputError: The output is larger than :data:`..engine.streams.MAX_OUTPUT`.
        """
        self.output.take(stream, data)
        self._streams[STDOUT if stream == STDOUT else STDERR].find_marks()


class _Stream:
    """One stream of an answer. All data is added to ``content``; the marks are removed from it."""

    def __init__(self, token: bytes, content: bytearray) -> None:
        self._begin, self._end, self._content = token + b"<", token + b">", content
        self._searched = 0
        self.begun = False
        self.result: ShellResult | None = None

    def find_marks(self) -> None:
        """Find the marks in data that was added."""
        if not self.begun:
            self._find_begin()
        if self.begun and self.result is None:
            self._find_end()

    def _find_begin(self) -> None:
        at = self._content.find(self._begin)
        if at < 0:
            del self._content[: 1 - len(self._begin)]  # the last bytes may be the first ones of the mark
            return
        del self._content[: at + len(self._begin)]
        self.begun = True

    def _find_end(self) -> None:
        at = self._content.find(self._end, self._searched)
        if at < 0:
            self._searched = max(0, len(self._content) - len(self._end) + 1)
            return
        self._searched, start = at, at + len(self._end)
        if len(self._content) < start + _RESULT_SIZE:
            return
        match = _RESULT.match(self._content, start)
        if match is None:
            raise EngineError("the shell in the container answers with what is not an exit status")
        self.result = ShellResult(int(match[1]), match[2] == b"1")
        del self._content[at : start + _RESULT_SIZE]
