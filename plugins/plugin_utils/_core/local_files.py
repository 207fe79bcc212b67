# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A user's state and cache folders, whole-file writes, file locks.

Where a user's state and caches are (XDG Base Directory Specification).

Writing a file so that it appears whole or not at all.

Locks between processes that are not waited for without end: after some time, the message names who holds it.

They are POSIX locks, which end with the process that took them; those of ``flock`` live on in its children.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import RunError, described

_PRODUCT = "tierwright"


def all_state() -> Path:
    """Folder of the state of all programs: ``$XDG_STATE_HOME``, by default ``~/.local/state``."""
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()


def all_caches() -> Path:
    """Folder of the caches of all programs: ``$XDG_CACHE_HOME``, by default ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def state() -> Path:
    """Folder of our own state. It need not exist; who removes it loses what it says."""
    return all_state() / _PRODUCT


def cache() -> Path:
    """Folder of our own caches. It need not exist; it may be removed at any time."""
    return all_caches() / _PRODUCT


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


_POLL_SECONDS = 0.05

#: ``struct flock`` of fcntl(2) on 64-bit Linux: type, whence, start, length, process.
_FLOCK = "hhqqi"


def lock(file: IO[bytes], seconds: float) -> None:
    """Lock a file that is open for writing, until it is closed.

    Raises:
        RunError: Another process has held it for so many seconds, or the process that this one works for has ended.
    """
    until, employer = time.monotonic() + seconds, os.getppid()
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            pass
        else:
            return
        if os.getppid() != employer:
            raise RunError("the playbook has ended")
        if time.monotonic() >= until:
            raise RunError(
                f"{file.name} has been locked for {seconds:.0f} s by {_holder(file)}; end that process, or let it go on"
            )
        time.sleep(_POLL_SECONDS)


def _holder(file: IO[bytes]) -> str:
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))[4]
    if pid <= 0:  # another machine's, or another container's
        return "a process that is not seen from here"
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return f"process {pid}"
    told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return f"process {pid} ({told.get('Name', '?')}), which is in state {told.get('State', '?')}"
