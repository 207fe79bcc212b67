# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The output folder of a report. The report is first written to a different folder, then moved to its place."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..errors import UsageError

#: The file that marks a folder as a report, and lists the report's files.
MARK = "report.json"
#: Increase it by one whenever the content or the meaning of the mark changes.
SCHEMA = 1


def check(folder: Path) -> None:
    """Check that a report may be written to a folder: it does not exist, is empty, or contains only a report.

    Raises:
        UsageError: It is not a folder, or contains something else.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; name a folder that does not exist yet, or an existing report")
    existing = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
    if not existing:
        return
    own_files = _own_files(folder)
    if own_files is None:
        raise UsageError(
            f"{folder} is not empty, and is not a report of Tierwright; name a different folder, or remove it"
        )
    if foreign := sorted(existing - own_files):
        raise UsageError(
            f"{folder} is a report, but contains {foreign[0]!r}, which does not belong to it; move it elsewhere"
        )


def publish(folder: Path, files: Iterable[tuple[str, str]], *, chain: str | None, made: str) -> int:
    """Write a report to a folder. The folder may contain an older report.

    The old report stays until the new one is complete. Then two renames replace it. Between the renames, the folder
    does not exist for a moment.

    Args:
        folder: The report's folder. Missing parent folders are created.
        files: Pairs of a path in the folder and a text.
        chain: Name of the chain; ``None`` if the report is about images that do not belong to a chain.
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
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            count = _write(temporary / "new", files, chain, made)
            _replace(folder, temporary / "new", temporary / "old")
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from error
    return count


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


def _replace(folder: Path, site: Path, old: Path) -> None:
    """Move ``folder`` to ``old`` if it exists, and ``site`` to ``folder``."""
    if not folder.exists():
        site.rename(folder)
        return
    folder.rename(old)
    try:
        site.rename(folder)
    except BaseException:
        old.rename(folder)
        raise


def _own_files(folder: Path) -> set[str] | None:
    """Return the files of the report in a folder; ``None`` if the folder does not contain a report."""
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
        return set(map(str, mark["files"])) if mark["tierwright"] == "report" else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
