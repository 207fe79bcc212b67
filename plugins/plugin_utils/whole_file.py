# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writing a file so that it appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import described

_NEW = ".new"

#: Letters of a file's name that the name of its unfinished copy begins with; file systems take 255 bytes.
_NAME = 200


def write_whole(path: Path, content: str | bytes) -> None:
    """Put ``content`` at ``path``, which others may be reading: they see what was there before, or all of it.

    Only the user may read the file. Its folder has to exist.

    Raises:
        OSError: It cannot be written. What was there before is there still, and no other file is left.
    """
    with _taking_the_place_of(path) as file:
        file.write(_encoded(content))


def write_durably(path: Path, content: str | bytes) -> None:
    """The same, on the disk when this returns: it survives the machine's end as well."""
    with _taking_the_place_of(path) as file:
        file.write(_encoded(content))
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def forget_unfinished(folder: Path, name: str) -> None:
    """Remove what writers of files ``name``, a pattern, left in ``folder`` when they were killed."""
    for path in folder.glob(f".{name}.*{_NEW}"):
        path.unlink(missing_ok=True)


def set_aside(path: Path, error: BaseException) -> str:
    """Let a damaged file of ours be in nobody's way, and keep it for whoever wants to look at it.

    Args:
        path: The file.
        error: What is wrong with it.

    Returns:
        A sentence for the user.
    """
    aside = path.with_name(f"{path.name}.damaged")
    try:
        path.replace(aside)
    except OSError as refused:
        return f"{path} is damaged ({described(error)}) and cannot be set aside ({described(refused)}); it is ignored"
    return f"{path} is damaged ({described(error)}); it is set aside as {aside.name}, and the run goes on without it"


@contextlib.contextmanager
def _taking_the_place_of(path: Path) -> Iterator[IO[bytes]]:
    """A file in the same folder that takes the place of ``path``, or goes again where that fails."""
    # Its name begins with a dot: whoever looks for files of a kind in the folder does not take it for one.
    prefix = f".{path.name[:_NAME]}."
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=prefix, suffix=_NEW, delete=False) as file:
        try:
            yield file
            file.close()  # a full disk may show only now
            Path(file.name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(file.name).unlink()
            raise


def _encoded(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
