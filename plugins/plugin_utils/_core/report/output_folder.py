# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The folder that a report is: written elsewhere first, then moved to its place."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..errors import UsageError

#: Says that a folder is a report, and which files belong to it.
MARK = "report.json"
#: Raised by one whenever the mark says more, or something else, than before.
SCHEMA = 1


def check(folder: Path) -> None:
    """Make sure that a report may be put into a folder: it is not there, empty, or a report and nothing else.

    Raises:
        UsageError: It is something else.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name one that is not there yet, or a report")
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
    if not there:
        return
    mark = _mark(folder)
    if mark is None:
        raise UsageError(f"{folder} is not empty and no report of Tierwright; name another folder, or remove it")
    if foreign := sorted(there - mark):
        raise UsageError(f"{folder} is a report, but holds {foreign[0]!r}, which is no part of it; move it elsewhere")


def publish(folder: Path, files: Iterable[tuple[str, str]], *, chain: str | None, made: str) -> int:
    """Write a report to a folder, which may hold an older report.

    The old report is there until the new one is complete. It is moved away and the new one moved in by two renames, so
    a reader finds no report for an instant.

    Args:
        folder: The report's folder; folders above it are made.
        files: Paths in it, and texts.
        chain: Name of the chain.
        made: RFC 3339 time.

    Returns:
        Number of pages.

    Raises:
        UsageError: The folder may not be replaced, or cannot be written.
    """
    check(folder)
    folder = folder.resolve()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            written = _write(aside / "new", files, chain, made)
            _put(aside / "new", folder, aside / "old")
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from error
    return written


def _write(site: Path, files: Iterable[tuple[str, str]], chain: str | None, made: str) -> int:
    site.mkdir()
    names = []
    for name, text in files:
        path = site / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        names.append(name)
    mark = {"tierwright": "report", "schema": SCHEMA, "chain": chain, "made": made, "files": [*names, MARK]}
    (site / MARK).write_text(json.dumps(mark, indent=2) + "\n")
    return len(names)


def _put(site: Path, folder: Path, old: Path) -> None:
    """Move ``site`` to ``folder``; what was there is moved to ``old``."""
    if not folder.exists():
        site.rename(folder)
        return
    folder.rename(old)
    try:
        site.rename(folder)
    except BaseException:
        old.rename(folder)
        raise


def _mark(folder: Path) -> set[str] | None:
    """Files of the report that a folder is; ``None`` where it is none."""
    try:
        told = json.loads((folder / MARK).read_text(encoding="utf-8"))
        return set(map(str, told["files"])) if told["tierwright"] == "report" else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
