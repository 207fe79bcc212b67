# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes the start and end of each task of a measured run."""

from __future__ import annotations

DOCUMENTATION = r"""
name: bench_clock
type: aggregate
short_description: Write when each task started and ended
description:
  - For C(tests/bench/connection). It runs in the main process, so it works with any strategy.
requirements:
  - Enabled in the configuration.
options:
  path:
    description: File for the times, as JSON.
    type: path
    required: true
    env:
      - name: TIERWRIGHT_BENCH_CLOCK
"""

import json
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Collects start and end of each successful task, in seconds."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "bench_clock"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._times: list[tuple[float, float]] = []
        self._started = 0.0

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._started = time.monotonic()

    def v2_runner_on_ok(self, result: Any) -> None:
        self._times.append((self._started, time.monotonic()))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        Path(self.get_option("path")).write_text(json.dumps(self._times))
