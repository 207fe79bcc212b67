# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Work ends with the process that asked for it, even if that process was killed.

A killed process cannot end its children. Since ansible-core 2.20, each worker of Ansible has a session of its own, and
survives a killed ansible-playbook.
"""

from __future__ import annotations

import os
import signal
import threading
import time

_POLL_SECONDS = 1.0


class ParentProcess:
    """The parent of this process."""

    def __init__(self) -> None:
        """Remember the parent that this process has now."""
        self._pid = os.getppid()

    def has_ended(self) -> bool:
        """Say whether it has ended: then this process has a different parent."""
        return os.getppid() != self._pid

    def interrupt_with(self) -> None:
        """Interrupt this process like Ctrl-C as soon as the parent process has ended."""
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self.has_ended():
            time.sleep(_POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGINT)
