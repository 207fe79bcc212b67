"""The steps of a page of the documentation: the commands to type, and the files to write.

A block ``console`` has commands after ``$ ``, each followed by what it prints. A block of any other kind is the content
of a file, if the paragraph above it ends with ```PATH`:``, or with ``to the end of `PATH`:``. The comment
``<!-- fails -->`` above a block says that its last command ends with an error.

All commands run in one shell, so `cd` and variables stay. What they print is compared with the page, without what is
different each time: numbers, sizes, durations and digests. ``…`` stands for anything in a line. A page may leave lines
out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FAILS = "<!-- fails -->"
_FILE = re.compile(r"(?P<append>to the end of\s)?`(?P<path>[\w./-]+)`:$")
_BEGIN, _END = "@@begins", "@@ended"
#: What differs between two runs, and what stands for it.
_VARYING = (
    (re.compile(r"\b[0-9a-f]{12,}\b|\bsha256:[0-9a-f…]+"), "ID"),
    (re.compile(r"\d[\d.,:TZ-]*"), "0"),
    (re.compile(r"0 (second|minute|hour|day)s?\b"), "TIME"),
    (re.compile(r"0 [kMG]?B\b"), "SIZE"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command."""

    line: int
    text: str
    #: The lines that the page shows as its output.
    shown: tuple[str, ...]
    fails: bool


@dataclass(frozen=True, slots=True)
class File:
    """A file to write."""

    line: int
    path: str
    content: str
    append: bool


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did."""

    command: Command
    output: str
    status: int
    seconds: float


def steps(page: str) -> Iterator[Command | File]:
    """The steps of a page, in order."""
    for block in _BLOCK.finditer(page):
        line = page.count("\n", 0, block.start("text")) + 1
        above = page[: block.start()].rstrip().rpartition("\n\n")[2]
        if block["kind"] == "console":
            yield from _commands(block["text"].splitlines(), line, fails=above == _FAILS)
        elif file := _FILE.search(above):
            yield File(line, file["path"], block["text"], bool(file["append"]))


def _commands(lines: Sequence[str], first: int, *, fails: bool) -> Iterator[Command]:
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=False):
        words = [lines[start].removeprefix("$ ")]
        while words[-1].endswith("\\"):
            words.append(lines[start + len(words)])
        shown = tuple(line for line in lines[start + len(words) : end] if line.strip(" .…"))
        yield Command(first + start, "\n".join(words), shown, fails and end == len(lines))


def script(found: Iterable[Command | File]) -> str:
    """A shell script that takes the steps, and stops at the first command that does not end as the page says."""
    lines = ["set -u"]
    for step in found:
        if isinstance(step, File):
            lines += [f"mkdir -p {shlex.quote(step.path.rpartition('/')[0] or '.')}"]
            lines += [f"printf %s {shlex.quote(step.content)} {'>>' if step.append else '>'} {shlex.quote(step.path)}"]
            continue
        lines += [f'printf "\\n{_BEGIN} {step.line} %s\\n" "$(date +%s.%N)"', "{", step.text, "} </dev/null 2>&1"]
        lines += ["status=$?", f'printf "\\n{_END} {step.line} %s %s\\n" "$status" "$(date +%s.%N)"']
        lines += [f"[ $status {'!=' if step.fails else '='} 0 ] || exit 1"]
    return "\n".join(lines) + "\n"


def done(found: Iterable[Command | File], output: str) -> list[Done]:
    """What the commands of the script did, up to the one where it stopped."""
    commands = {step.line: step for step in found if isinstance(step, Command)}
    pattern = re.compile(
        rf"^{_BEGIN} (?P<line>\d+) (?P<begin>\S+)\n(?P<output>.*?)\n{_END} (?P=line) (?P<status>\d+) (?P<end>\S+)$",
        re.MULTILINE | re.DOTALL,
    )
    return [
        Done(commands[int(it["line"])], it["output"], int(it["status"]), float(it["end"]) - float(it["begin"]))
        for it in pattern.finditer(output)
    ]


def differences(result: Done) -> list[str]:
    """The lines of the page that the command did not print, or not in this order."""
    printed = [_constant(line) for line in result.output.splitlines()]
    missing, position = [], 0
    for line in result.command.shown:
        pattern = re.compile(".*".join(map(re.escape, map(_constant, line.split("…")))))
        found = next((place for place in range(position, len(printed)) if pattern.search(printed[place])), None)
        if found is None:
            missing.append(line)
        else:
            position = found + 1
    return missing


def _constant(line: str) -> str:
    """A line without what varies."""
    for pattern, replacement in _VARYING:
        line = pattern.sub(replacement, line)
    return line.strip()
