# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A forked child that waits to be told what to become.

Forking a process of this size, and the page faults that follow, take longer than what most commands do. So a child is
forked while nothing else is to be done, and gets its request when there is one.
"""

from __future__ import annotations

import itertools
import json
import os
from typing import Any

from . import child


class Process:
    """A child and our ends of its pipes."""

    def __init__(self) -> None:
        """Fork. The child waits; it ends by itself if its request never comes.

        Raises:
            OSError: No process can be started.
        """
        pipes: list[tuple[int, int]] = []
        try:
            while len(pipes) < 5:  # noqa: PLR2004 - those that are named below
                pipes.append(os.pipe())
            self.pid = os.fork()
        except OSError:
            for fd in itertools.chain(*pipes):
                os.close(fd)
            raise
        (stdin, self.stdin), (self.stdout, stdout), (self.stderr, stderr), (self.notes, notes), told = pipes
        request, self._request = told
        if self.pid == 0:
            child.run(request, (stdin, stdout, stderr), notes)  # never returns
        for fd in (stdin, stdout, stderr, notes, request):
            os.close(fd)
        for fd in (self.stdin, self.stdout, self.stderr, self.notes):
            os.set_blocking(fd, False)

    def start(self, request: dict[str, Any]) -> None:
        """Tell the child what to become; see :func:`.child.run`.

        Raises:
            BrokenPipeError: Somebody has killed it.
        """
        told = memoryview(json.dumps(request).encode())
        while told:
            told = told[os.write(self._request, told) :]  # it does nothing but read, so it takes all of it
        os.close(self._request)
        self._request = -1

    def drop(self) -> None:
        """Let a child that is not needed end."""
        for fd in (self.stdin, self.stdout, self.stderr, self.notes, self._request):
            if fd >= 0:
                os.close(fd)
        os.waitpid(self.pid, 0)
