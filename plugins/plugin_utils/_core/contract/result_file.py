# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file with the results of one pytest session. The session writes it, and the gate reads it."""

from __future__ import annotations

from pathlib import Path

from ..records import decode, encode
from .session_result import SessionResult


def write_result(path: Path, result: SessionResult) -> None:
    """Write the results to a file.

    Raises:
        OSError: The file cannot be written.
    """
    path.write_text(encode(result))


def read_result(path: Path) -> SessionResult:
    """Read the results from a file; empty results if the session was killed before they were complete."""
    try:
        return decode(path.read_text(), SessionResult)
    except (FileNotFoundError, ValueError):
        return SessionResult()
