# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A task that was started and has no result yet, and why none will come."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Running:
    """A task that was started, and has no result yet."""

    #: What Ansible's process was started as, which outlives the object that Ansible closes; ``None`` if it was not.
    worker: Any
    #: How it ended; ``None`` while it runs.
    status: int | None = None
    #: How often it was looked for since it had ended.
    looks: int = 0

    def has_ended(self) -> bool:
        """Say whether no result can come any more but one that is on its way."""
        if self.worker is None:
            return True
        self.status = self.worker.poll()
        return self.status is not None

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended it."""
        return self.status is not None and self.status < 0

    def __str__(self) -> str:
        if self.worker is None:
            return "no process could be started for this task: the machine or the user has no room for another one"
        if self.status is not None and self.status < 0:
            name = signal.Signals(-self.status).name
            return f"the process that ran this task was killed ({name}): by somebody, or because memory ran out"
        return f"the process that ran this task ended without a result (status {self.status})"
