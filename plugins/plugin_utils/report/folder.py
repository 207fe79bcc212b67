# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The folder that a report is: written aside, and put in its place in one step."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..errors import UsageError

#: Says that a folder is a report, and which files belong to it.
MARK = "report.json"
#: Raised by one whenever the mark says more, or something else, than before.
SCHEMA = 1

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


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
    """Write a report, and put it where another one may be: whoever reads meanwhile finds the old or the new one.

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
            written = _write(aside, files, chain, made)
            _put(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from error
    return written


def _write(aside: Path, files: Iterable[tuple[str, str]], chain: str | None, made: str) -> int:
    names = []
    for name, text in files:
        path = aside / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        names.append(name)
    mark = {"tierwright": "report", "schema": SCHEMA, "chain": chain, "made": made, "files": [*names, MARK]}
    (aside / MARK).write_text(json.dumps(mark, indent=2) + "\n")
    # A report is there to be read; mkdtemp's folder is for its owner alone.
    aside.chmod((aside / names[0]).stat().st_mode & 0o444 | 0o700 | ((aside / names[0]).stat().st_mode & 0o044) >> 2)
    return len(names)


def _put(aside: Path, folder: Path) -> None:
    """Give ``aside`` the name of ``folder``, which goes to ``aside`` where there is one."""
    if not folder.exists():
        aside.rename(folder)
    elif not _exchange(aside, folder):
        old = aside.with_name(f"{aside.name}.old")
        folder.rename(old)
        aside.rename(folder)
        old.rename(aside)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change their names in one step; say whether this system and file system can."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    if (code := ctypes.get_errno()) in {errno.EINVAL, errno.ENOSYS}:
        return False
    raise OSError(code, os.strerror(code), str(other))


def _mark(folder: Path) -> set[str] | None:
    """Files of the report that a folder is; ``None`` where it is none."""
    try:
        told = json.loads((folder / MARK).read_text(encoding="utf-8"))
        return set(map(str, told["files"])) if told["tierwright"] == "report" else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
