# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of the user: state and cache folders (XDG Base Directory Specification), atomic writes, and file locks.

Waiting for a lock ends after a timeout; the error names the process that holds the lock. POSIX locks are used, because
they end with the process that took them. ``flock`` locks would stay with its child processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import RunError, describe_error
from .parent_process import ParentProcess

_PRODUCT = "tierwright"

#: Whether a thread reads for the product's own checks; see :func:`own_reads`.
_reads = threading.local()


@contextlib.contextmanager
def own_reads() -> Iterator[None]:
    """Read files for a check of the product's own. No tier depends on what is read in the block."""
    before = is_own_read()
    _reads.own = True
    try:
        yield
    finally:
        _reads.own = before


def is_own_read() -> bool:
    """Say whether this thread is in a block of :func:`own_reads`."""
    return getattr(_reads, "own", False)


def all_state() -> Path:
    """Return the folder for the state of all programs: ``$XDG_STATE_HOME``, by default ``~/.local/state``."""
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()


def all_caches() -> Path:
    """Return the folder for the caches of all programs: ``$XDG_CACHE_HOME``, by default ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def state() -> Path:
    """Return the folder for the state of Tierwright. It need not exist. If it is removed, the state is lost."""
    return all_state() / _PRODUCT


def cache() -> Path:
    """Return the folder for the caches of Tierwright. It need not exist, and may be removed at any time."""
    return all_caches() / _PRODUCT


_NEW = ".new"

#: Maximum number of characters of a file name that the name of its temporary file contains. File systems allow 255
#: bytes.
_NAME_LENGTH = 200


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path``. Other processes see either the old content or all of the new content.

    Only the user may read the file. Its folder must exist.

    Raises:
        OSError: The file cannot be written. The old file is unchanged, and no temporary file is left.
    """
    with _replace(path) as file:
        file.write(_encoded(content))


def write_shared(path: Path, content: str) -> None:
    """Write a file that others may read, as :func:`write_atomically` does. Its mode stays, or is that of the umask.

    A link stays a link.

    Raises:
        OSError: The file cannot be written. The old file is unchanged, and no temporary file is left.
    """
    target = path.resolve()
    umask = os.umask(0)
    os.umask(umask)
    mode = target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~umask
    with _replace(target) as file:
        os.fchmod(file.fileno(), mode)
        file.write(_encoded(content))


def write_durably(path: Path, content: str | bytes) -> None:
    """Write as :func:`write_atomically` does, and flush to disk, so that the file survives a crash of the machine."""
    with _replace(path) as file:
        file.write(_encoded(content))
        file.flush()
        os.fsync(file.fileno())
    _flush_folder(path.parent)


def create_durably(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Write a new file, and flush it to disk. Other processes see either nothing or all of it.

    Args:
        path: The file. Its folder must exist.
        content: What it contains.
        mode: Its permissions.

    Raises:
        FileExistsError: It exists. It is never overwritten, even if another process makes it now.
        OSError: It cannot be written. No temporary file is left.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:_NAME_LENGTH]}.", suffix=_NEW) as file:
        file.write(_encoded(content))
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
        os.link(file.name, path)  # a rename would overwrite
    _flush_folder(path.parent)


def remove_unfinished(folder: Path, name: str) -> None:
    """Remove temporary files for files ``name`` (a glob pattern) in ``folder``, which killed processes left behind."""
    for path in folder.glob(f".{name}.*{_NEW}"):
        path.unlink(missing_ok=True)


def keep_newest(folder: Path, count: int) -> None:
    """Remove all files and folders of a folder but the ones that were changed last.

    Raises:
        OSError: One cannot be read or removed.
    """
    newest_first = sorted(folder.iterdir(), key=lambda path: path.lstat().st_mtime, reverse=True)
    for path in newest_first[count:]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def set_aside(path: Path, error: BaseException) -> str:
    """Rename a damaged file, so that it can still be examined.

    Args:
        path: The file.
        error: The error that was found in it.

    Returns:
        A message for the user.
    """
    renamed = path.with_name(f"{path.name}.damaged")
    try:
        path.replace(renamed)
    except OSError as rename_error:
        reason = describe_error(rename_error)
        return f"{path} is damaged ({describe_error(error)}) and cannot be renamed ({reason}); it is ignored"
    return f"{path} is damaged ({describe_error(error)}); it is renamed to {renamed.name}, and the run ignores it"


@contextlib.contextmanager
def _replace(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file in the same folder, and rename it to ``path`` at the end. After an error, remove it."""
    # Its name begins with a dot, so glob patterns for files in the folder do not match it.
    prefix = f".{path.name[:_NAME_LENGTH]}."
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=prefix, suffix=_NEW, delete=False) as file:
        try:
            yield file
            file.close()  # the error of a full disk may occur only here
            Path(file.name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(file.name).unlink()
            raise


def _flush_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _encoded(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


_POLL_SECONDS = 0.05

#: ``struct flock`` of fcntl(2) on 64-bit Linux: type, whence, start, length, process.
_FLOCK = "hhqqi"


def lock(file: IO[bytes], seconds: float) -> None:
    """Lock a file that is open for writing, until it is closed.

    Args:
        file: The file.
        seconds: Timeout in seconds.

    Raises:
        RunError: A different process held the lock until the timeout, or the parent process of this one has ended.
    """
    deadline, parent = time.monotonic() + seconds, ParentProcess()
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            pass
        else:
            return
        if parent.has_ended():
            raise RunError("the playbook has ended")
        if time.monotonic() >= deadline:
            raise RunError(
                f"{file.name} has been locked for {seconds:.0f} s by {_find_holder(file)}; end it, or let it finish"
            )
        time.sleep(_POLL_SECONDS)


def is_locked(path: Path) -> bool:
    """Say whether a different process has locked a file with :func:`lock`. The file need not exist."""
    try:
        with path.open("rb") as file:
            return _query_lock(file)[0] != fcntl.F_UNLCK
    except OSError:
        return False


def _query_lock(file: IO[bytes]) -> tuple[int, int]:
    """Return the kind of the lock that a different process has on a file, and the ID of this process."""
    query = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _whence, _start, _length, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, query))
    return kind, pid


def _find_holder(file: IO[bytes]) -> str:
    _kind, pid = _query_lock(file)
    if pid <= 0:  # it runs on a different machine, or in a different container
        return "a process that is not visible from here"
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return f"process {pid}"
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return f"process {pid} ({fields.get('Name', '?')}), which is in state {fields.get('State', '?')}"
