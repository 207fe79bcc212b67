# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prints answers: as tables on a terminal, as plain columns in a pipe, or as JSON."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click
import msgspec

from ..records import encode
from ..text import printable
from .progress_line import no_progress

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON; docs/command.md describes it.")


def show(answer: Any, render: Callable[[], Iterable[str | Table]], *, as_json: bool) -> None:
    """Print an answer.

    Args:
        answer: The answer, a dataclass.
        render: Returns the answer as lines and tables. It is called only if ``as_json`` is false.
        as_json: Whether to print the answer as JSON.
    """
    with no_progress():
        if as_json:
            click.echo(encode(answer, indent=2))
            return
        for part in render():
            if isinstance(part, Table):
                part.print()
            else:
                click.echo(printable(part))


class Table(msgspec.Struct, frozen=True):
    """A table. Each row is one line, except on a terminal that is too narrow."""

    #: Heads of the columns. A ``>`` at the end aligns the column to the right; it is not printed.
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def print(self) -> None:
        """Print the table to standard output."""
        if sys.stdout.isatty():
            self._print_rich()
        else:
            for line in self.lines():
                click.echo(line)

    def lines(self) -> Iterable[str]:
        """Yield the lines of the table as plain text."""
        rows = [[head.rstrip(">") for head in self.heads], *([printable(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(self.heads))]
        for row in rows:
            cells = (
                cell.rjust(width) if head.endswith(">") else cell.ljust(width)
                for cell, width, head in zip(row, widths, self.heads, strict=True)
            )
            yield "  ".join(cells).rstrip()

    def _print_rich(self) -> None:
        console, table, text = (importlib.import_module(f"rich.{name}") for name in ("console", "table", "text"))
        rich_table = table.Table(box=None, pad_edge=False, header_style="bold")
        for number, head in enumerate(self.heads):
            rich_table.add_column(
                head.rstrip(">"),
                justify="right" if head.endswith(">") else "left",
                no_wrap=number == 0,
                overflow="fold",
            )
        for row in self.rows:
            rich_table.add_row(*(text.Text(printable(cell)) for cell in row))
        console.Console(highlight=False).print(rich_table)
