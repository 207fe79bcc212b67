# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The socket that tasks knock at: made by the controller, and handed to the agent where there is a way.

The agent gets it as an open descriptor (``SCM_RIGHTS``, unix(7)) through a second socket beside it. So the folder of
both can be mounted read-only in the build container, where nothing that runs there can put anything in its place.
"""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path


class Door:
    """A listening socket that has its name only once somebody serves it."""

    def __init__(self, path: Path) -> None:
        """Listen; ``path`` is the name that it will have.

        Raises:
            OSError: It cannot be made there.
        """
        self.path = path
        self._aside = path.with_suffix(".new")
        self.giver_path = path.with_suffix(".give")
        for each in (path, self._aside, self.giver_path):
            each.unlink(missing_ok=True)
        self.listener = _listening(self._aside)
        self.giver = _listening(self.giver_path)

    def give(self) -> None:
        """Hand the socket to whoever waits at the second one."""
        with contextlib.suppress(OSError):  # it went away again
            near, _ = self.giver.accept()
            with near:
                socket.send_fds(near, [b"\0"], [self.listener.fileno()])

    def open(self) -> None:
        """Give the socket its name."""
        self.giver.close()
        self.giver_path.unlink(missing_ok=True)
        self._aside.replace(self.path)

    def close(self) -> None:
        """Remove it."""
        for sock in (self.listener, self.giver):
            sock.close()
        for each in (self.path, self._aside, self.giver_path):
            each.unlink(missing_ok=True)


def _listening(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(str(path))
        path.chmod(0o600)
        sock.listen(64)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
