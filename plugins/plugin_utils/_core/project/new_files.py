# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes new files: all of them or none, and never over a file that exists.

They are written aside, in a hidden folder. A new folder then appears with one rename. In a folder that exists, each
file is linked to its place, because a link never replaces a file. If that ends early, the links are removed again.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import UsageError, describe_error

#: Number of existing files that a message names; it counts the others.
_NAMED = 5


def write_new(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write files into a folder, which is made if it does not exist.

    Args:
        folder: The folder.
        files: Text by path in the folder.

    Returns:
        The files, in their order.

    Raises:
        UsageError: A file exists, or something cannot be written. Nothing is written then.
    """
    check_absent(folder, files)
    try:
        with _aside(folder) as aside:
            for path, text in files.items():
                target = aside / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            if folder.exists():
                _link(aside, folder, files)
            else:
                aside.rename(folder)
    except FileExistsError as error:  # somebody else has made it in the meantime
        raise UsageError(f"{error.filename2 or error.filename} exists; nothing is written") from error
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {describe_error(error)}; nothing is written") from error
    return [folder / path for path in files]


def check_absent(folder: Path, paths: Mapping[str, str]) -> None:
    """Make sure that no file is in the way.

    Raises:
        UsageError: A path exists, or a part of it is not a folder.
    """
    if folder.is_symlink() and not folder.exists():
        raise UsageError(f"{folder} is a link to nothing; nothing is written")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; nothing is written")
    in_the_way = list(dict.fromkeys(str(found) for path in paths if (found := _find(folder, path)) is not None))
    if in_the_way:
        more = f" and {len(in_the_way) - _NAMED} more" if len(in_the_way) > _NAMED else ""
        exist = "exists" if len(in_the_way) == 1 else "exist"
        raise UsageError(
            f"{', '.join(in_the_way[:_NAMED])}{more} {exist}, and no file is overwritten; nothing is written. Choose "
            "another folder or name, or move what is there"
        )


def _find(folder: Path, path: str) -> Path | None:
    """Return what is in the way of a new file: the file itself, or one in place of a folder above it."""
    target = folder / path
    for parent in reversed(target.relative_to(folder).parents[:-1]):
        above = folder / parent
        if os.path.lexists(above) and not above.is_dir():
            return above
    return target if os.path.lexists(target) else None


@contextlib.contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Make a hidden folder on the file system of ``folder``; remove what is left of it at the end."""
    place = folder if folder.exists() else folder.parent
    missing = [each for each in (place, *place.parents) if not each.exists()]
    place.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".tierwright-", ignore_cleanup_errors=True) as name:
            aside = Path(name) / "new"
            aside.mkdir()  # with the permissions of the umask; the folder around it is private
            yield aside
    finally:
        for made in missing:
            with contextlib.suppress(OSError):  # it is not empty: the new files are in it
                made.rmdir()


def _link(aside: Path, folder: Path, paths: Mapping[str, str]) -> None:
    """Link files to their places. After an error or an interrupt, remove the links and the new folders."""
    folders: list[Path] = []
    links: list[Path] = []
    try:
        for path in paths:
            target = folder / path
            for parent in reversed(target.parents):
                if not parent.exists():
                    folders.append(parent)
                    parent.mkdir()
            links.append(target)
            try:
                os.link(aside / path, target)
            except FileExistsError:
                links.pop()  # it is not ours
                raise
    except BaseException:
        for link in reversed(links):
            link.unlink(missing_ok=True)
        for made in reversed(folders):
            with contextlib.suppress(OSError):
                made.rmdir()
        raise
