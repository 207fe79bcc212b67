# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Printing answers: tables on a terminal, plain columns in a pipe, JSON for programs.

Names of files, commands and versions come from images, that is from anybody: what could steer a terminal is escaped.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import click

_UNITS = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"))
_AGES = ((365 * 86400, "year"), (30 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_DIGITS = 12
_SMALL = 10

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON; docs/command.md describes it.")


def show(answer: Any, draw: Callable[[], Iterable[str | Table]], *, as_json: bool) -> None:
    """Print an answer.

    Args:
        answer: A dataclass.
        draw: Makes lines and tables for people of it.
        as_json: Whether to print it as JSON instead.
    """
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(answer), indent=2))
        return
    for part in draw():
        if isinstance(part, Table):
            part.print()
        else:
            click.echo(printable(part))


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A table with one line for each row, but where a terminal is too narrow."""

    #: Heads of the columns; those that end with ``>`` hold numbers.
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def print(self) -> None:
        """Print it."""
        if sys.stdout.isatty():
            self._rich()
        else:
            for line in self.lines():
                click.echo(line)

    def lines(self) -> Iterable[str]:
        """Its lines as plain text."""
        rows = [[head.rstrip(">") for head in self.heads], *([printable(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(self.heads))]
        for row in rows:
            cells = (
                cell.rjust(width) if head.endswith(">") else cell.ljust(width)
                for cell, width, head in zip(row, widths, self.heads, strict=True)
            )
            yield "  ".join(cells).rstrip()

    def _rich(self) -> None:
        console, table, text = (importlib.import_module(f"rich.{name}") for name in ("console", "table", "text"))
        drawn = table.Table(box=None, pad_edge=False, header_style="bold")
        for number, head in enumerate(self.heads):
            drawn.add_column(
                head.rstrip(">"),
                justify="right" if head.endswith(">") else "left",
                no_wrap=number == 0,
                overflow="fold",
            )
        for row in self.rows:
            drawn.add_row(*(text.Text(printable(cell)) for cell in row))
        console.Console(highlight=False).print(drawn)


def printable(text: str) -> str:
    r"""Write as ``\x1b`` what is no text: control characters, bytes that are no UTF-8, what turns lines around."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def size(count: int | None) -> str:
    """Bytes for people: ``468 MB``, ``4.6 MB``, ``12 B``."""
    if count is None:
        return "-"
    for unit, name in _UNITS:
        if count >= unit:
            number = count / unit
            return f"{number:.1f} {name}" if number < _SMALL else f"{number:.0f} {name}"
    return f"{count} B"


def age(moment: str | None) -> str:
    """How long ago a time is: ``3 days``."""
    if moment is None:
        return "-"
    seconds = max(0, int(time.time() - datetime.fromisoformat(moment).timestamp()))
    for unit, name in _AGES:
        if seconds >= unit:
            return f"{seconds // unit} {name}{'s' if seconds // unit > 1 else ''}"
    return "now"


def short(identity: str | None) -> str:
    """An ID as people write it."""
    return (identity or "-").removeprefix("sha256:")[:_DIGITS]


def one_line(text: str | None, width: int = 60) -> str:
    """A command or a value in one line, cut where it is long."""
    words = " ".join((text or "-").split())
    return words if len(words) <= width else words[: width - 1] + "…"
