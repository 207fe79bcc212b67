# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests about Ansible's temporary folder that the agent answers itself, without a child process.

A ``copy`` task makes four such requests, and a fork takes longer than each. The agent answers a request only if the
answer is certain: after any error, or any doubt, a child process does all of it again and reports the error.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
import stat
from typing import Any, Callable

from . import file_transfer

#: Maximum size of a file that the agent writes itself. Larger files would delay other commands.
MAX_FILE = 1 << 18

#: Maximum number of files in a folder that the agent removes itself.
_MAX_FILES = 16

_IN_TEMPORARY_FOLDER = re.compile(r"/.+/ansible-tmp-[0-9.]+-[0-9]+-[0-9]+/[^/]+")
_ROOT = frozenset({"root", "0"})


def answer(request: dict[str, Any]) -> str | None:
    """Do what a request asks, and return its standard output; ``None`` if a child process must do it.

    Args:
        request: See :func:`.child.run`.
    """
    do = _DO.get(str(request.get("do")))
    if do is None or request.get("env") or not _is_own_user(request.get("user")):
        return None
    umask = os.umask(0)
    os.umask(umask)
    try:
        return do(request)
    except Exception:  # noqa: BLE001 - a child process will report it
        return None
    finally:
        os.umask(umask)


def may_write(request: dict[str, Any]) -> bool:
    """Say whether :func:`write` may be tried for a request."""
    path = request.get("path")
    return (
        request.get("do") == "put"
        and isinstance(path, str)
        and _IN_TEMPORARY_FOLDER.fullmatch(path) is not None
        and not request.get("env")
        and _is_own_user(request.get("user"))
    )


def write(path: str, data: bytes) -> bool:
    """Create a file. Returns whether it was created: if not, nothing has changed.

    Args:
        path: Its path. If anything exists there, it is not created. So no link is followed, and no pipe can block.
        data: Its content.
    """
    try:
        file = open(path, "xb")  # noqa: SIM115 - an error here must not remove the file
    except (OSError, ValueError):
        return False
    try:
        with file:
            file.write(data)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(path)
        return False
    return True


def _is_own_user(user: Any) -> bool:
    """Say whether a child process would keep the user of the agent."""
    if user == "":
        return True
    if os.geteuid() != 0 or str(user) not in _ROOT:
        return False
    try:
        return (pwd.getpwnam("root") if user == "root" else pwd.getpwuid(0)).pw_uid == 0
    except KeyError:
        return False


def _remove(request: dict[str, Any]) -> str | None:
    """Remove a folder with a few files. A large tree would delay other commands."""
    try:
        with os.scandir(request["path"]) as entries:
            for count, entry in enumerate(entries):
                size = entry.stat(follow_symlinks=False)
                if count >= _MAX_FILES or not stat.S_ISREG(size.st_mode) or size.st_size > MAX_FILE:
                    return None
    except FileNotFoundError:
        return ""
    return file_transfer.remove(request)


_DO: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "make": file_transfer.make,
    "allow": file_transfer.allow,
    "remove": _remove,
}


class SmallFile:
    """A file that arrives for :func:`write`. It has the methods of a session (:mod:`.command_session`)."""

    def __init__(self, path: str, ended: Callable[[int], None], too_large: Callable[[], Any]) -> None:
        """Wait for the content.

        Args:
            path: Path of the file.
            ended: Called once: with 0 when the file is written, or with a signal's number if it was aborted.
            too_large: Called once if a child process must write the file. Returns the session of this process.
        """
        self._path, self._ended, self._too_large = path, ended, too_large
        self._content: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take a chunk of the content. An empty chunk is the end."""
        if data:
            self._content.append(data)
            self._size += len(data)
        if self._size <= MAX_FILE and data:
            return
        if self._size <= MAX_FILE and write(self._path, b"".join(self._content)):
            self._ended(0)
            return
        session = self._too_large()
        if session is not None:
            for chunk in self._content:
                session.feed(chunk)
            if not data:
                session.feed(b"")

    def abort(self) -> None:
        """Drop the content: the controller does not want the file any more."""
        self._content.clear()
        self._ended(signal.SIGTERM)
