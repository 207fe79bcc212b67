# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text that images, engines, containers and tests wrote, made harmless for a terminal.

Whoever can choose a file's name, a label or a test's message could otherwise move the cursor, change colours,
or hide lines. Everything that becomes an error or a record of a run goes through here; so does what is printed.
"""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Write as ``\x1b`` what is no text: control characters, bytes that are no UTF-8, what turns lines around."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def printable_lines(text: str) -> str:
    """The same for text of several lines: line feeds and tabs stay; other ends of lines become line feeds."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines)
