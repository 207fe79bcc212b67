# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Does what the playbooks of Tierwright do for all tasks of a build."""

from __future__ import annotations

DOCUMENTATION = r"""
name: bench_build
type: aggregate
short_description: Prepare Ansible as a build does
description:
  - For C(tests/bench/connection), whose playbook is not one of Tierwright's.
requirements:
  - Enabled in the configuration.
"""

from typing import Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook import garbage_collection
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.module_archives import (
    keep_archives,
    restore_archives,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.task_plugins import load_task_plugins


class CallbackModule(CallbackBase):
    """Collects garbage less often, loads plugins early, and keeps archives of modules from one run to the next."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "bench_build"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        garbage_collection.collect_less_often()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        garbage_collection.freeze_objects()
        restore_archives(())  # the play applies no roles
        load_task_plugins()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        keep_archives()
