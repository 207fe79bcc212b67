# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Watches a run from Ansible's main process."""

from __future__ import annotations

DOCUMENTATION = r"""
name: chain
type: notification
short_description: Watches a run over a chain
description:
  - Tells waiting tiers when another one became unreachable, which no task of its own can do any more.
  - Clears away what the run left on the engine, however the run ends.
  - Ends the run where Ansible itself lost a result that it would wait for.
  - Records which files a role takes from elsewhere than its own folder, and when each of its tasks begins.
  - Prints what became of each tier, and notes it for C(tierwright report).
  - It is loaded by itself with the playbooks of this collection and does nothing in others.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
"""

import atexit
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import connection_loader, get_shell_plugin

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.client import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils.errors import TierwrightError
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.adapter import unexpected
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.beginning import repeat
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.listening import (
    call_by_folder,
    failure_of,
    find_siblings,
    listen,
    note_files,
    note_task,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.telling import guard_display, say, warn
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.candidates import discard_all
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.cleanup import clear_run
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.column import keep_column
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.deaf import end_when_deaf
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.failure import note_failing
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.noting import note_run
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.result import write_files
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.summary import failures, summary
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.taken import Watch

_PLAN = "tierwright.chain.tier_plan"
_DISCARD = "tierwright.chain.tier_discard"


class CallbackModule(CallbackBase):
    """One run's watcher."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "tierwright.chain.chain"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._journal: Journal | None = None
        self._alive: IO[bytes] | None = None
        self._watch: Watch | None = None
        self._play: Any = None

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Load what every task in a build container needs: tasks are forks of this process and load nothing again."""
        connection_loader.get("tierwright.chain.tier", class_only=True)
        get_shell_plugin(shell_type="sh")

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Remember the play, which holds the roles that are loaded."""
        self._play = play

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Give a role that was just loaded a name that people can read, before its first task begins."""
        call_by_folder(self._play)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Take charge of a run as soon as it is planned."""
        if result.task.resolved_action == _PLAN and _content(result).get("run"):
            self._journal = Journal(Path(_content(result)["run"]))
            guard_display()
            self._alive = self._journal.hold()
            end_when_deaf(self._display.error)
            atexit.register(self._end, os.getpid())
            find_siblings(self._journal)
            if _content(result).get("builds"):
                self._watch = listen(self._journal)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Record when a tier's task begins, and which role and which file it comes from."""
        if self._journal is not None and self._watch is not None:
            note_files(self._watch, host.get_name(), task)
            note_task(self._journal, host.get_name(), task)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Record what a task of a tier says that failed: the next one may have to tell why the tier is given up."""
        if self._journal is not None and not ignore_errors and result.task.resolved_action != _DISCARD:
            note_failing(self._journal, result.host.get_name(), failure_of(result.task, _content(result)))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Tell the children of a tier whose container, or whose helper, cannot be reached."""
        if self._journal is not None and not result.task.ignore_unreachable:
            reason = f"{result.task.get_name()}: {_content(result).get('msg', 'unreachable')}"
            self._journal.failed(result.host.get_name(), reason)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Say what became of each tier, and note it for the report."""
        if self._journal is None:
            return
        try:
            self._tell(self._journal, [*stats.failures, *stats.dark])
        except TierwrightError as error:
            warn(str(error))
        except Exception as error:  # noqa: BLE001 - the run is over, and has to be cleared away
            warn(unexpected(f"telling the end of run {self._journal.run}", error))
        self._end(os.getpid())

    def _tell(self, journal: Journal, failed: list[str]) -> None:
        note_run(journal, warn)
        client = connect()
        for line in summary(client, journal, everything=self._display.verbosity > 0):
            say(line)
        if told := keep_column(client, journal):
            say(f"\n{told}")
        write_files(client, journal, repeat(), failed)
        for line in failures(journal, repeat(), failed):
            say(line)

    def _end(self, owner: int) -> None:
        """Clear the run away; a worker that was forked from the owner must not."""
        journal, self._journal = self._journal, None
        if journal is None or owner != os.getpid():
            return
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        try:
            clear_run(connect(), journal.run)
            discard_all(connect(), journal)
        except TierwrightError as error:
            warn(f"{error}; the next run clears what is left")
            return
        journal.end()


def _content(result: Any) -> Mapping[str, Any]:
    return getattr(result, "result", None) or {}
