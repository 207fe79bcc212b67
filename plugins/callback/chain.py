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
  - Lets a tier fail whose task's process was killed, whose role leaves the play, or for which Ansible would end the
    whole run; the others go on.
  - Ends a run as Ctrl-C does on SIGTERM and SIGHUP.
  - Lets a run fail that would be a success without having built what was planned, or without a plan.
  - Records what a role uses from elsewhere than its own folder, and when each of its tasks begins.
  - Prints what became of each tier, and notes it for C(tierwright report).
  - It is loaded by itself with the playbooks of this collection and does nothing in others.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
"""

import atexit
import multiprocessing
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import connection_loader, get_shell_plugin

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.matrix_store import keep_column
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TierwrightError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import guard_display, say, warn
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook import garbage_collection
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import repeat, unexpected
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.supervisor import (
    Reports,
    Supervisor,
    calling_strategy,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.task_observer import (
    Listening,
    call_by_folder,
    failure_of,
    find_siblings,
    listen,
    note_sources,
    note_task,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.lifecycle import Signals
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.result import write_files
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.summary import failures, summary, unbuilt
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.status import note_run
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.candidates import let_all_go
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.cleanup import clear_run
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.failure import note_failing

_PLAN = "tierwright.chain.tier_plan"
_DISCARD = "tierwright.chain.tier_discard"

#: What a run begins with, by the playbook's first play: without it, nothing was done.
_FIRST = frozenset(f"tierwright.chain.{each}" for each in ("chain_prune", "chain_remove", "tier_plan", "tier_rollback"))


class CallbackModule(CallbackBase):
    """One run's watcher."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "tierwright.chain.chain"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._journal: Journal | None = None
        self._alive: IO[bytes] | None = None
        self._listening: Listening | None = None
        self._signals: Signals | None = None
        self._supervisor: Supervisor | None = None
        #: What the run begins with, as long as no task has begun.
        self._awaited: set[str] = set()
        self._told = False
        #: Hosts with a task that failed, when all is over.
        self._failed: list[str] = []
        self._play: Any = None

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Take charge of the process, and load what every task in a build container needs.

        Tasks are forks of this process and load nothing again.
        """
        self._told = False  # ansible-playbook runs several playbooks one after the other
        connection_loader.get("tierwright.chain.tier", class_only=True)
        get_shell_plugin(shell_type="sh")
        self._awaited = {str(task.action) for task in _tasks(playbook)} & _FIRST
        if self._awaited:
            self._signals = Signals()
            self._signals.take()
            garbage_collection.relax()
            threading.excepthook = _quiet_reader(threading.excepthook)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Remember the play, which holds the roles that are loaded."""
        self._play = play
        if self._signals is not None:
            garbage_collection.keep()

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Give a role that was just loaded a name that people can read, before its first task begins."""
        call_by_folder(self._play)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Take charge of a run as soon as it is planned."""
        if result.task.resolved_action == _PLAN and _content(result).get("run"):
            self._journal = Journal(Path(_content(result)["run"]))
            guard_display()
            self._alive = self._journal.hold()
            atexit.register(self._end, os.getpid())
            find_siblings(self._journal)
            if _content(result).get("builds"):
                self._listening = listen(self._journal)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Watch the play, and record when a tier's task begins, and which role and which file it comes from."""
        self._awaited.clear()
        if self._signals is not None:
            strategy = calling_strategy()
            if strategy is not None and (self._supervisor is None or self._supervisor.strategy is not strategy):
                reports = Reports(self._display.error, self._give_up, self._signals.take)
                self._supervisor = Supervisor(strategy, self._journal, reports)
            if self._supervisor is not None:
                self._supervisor.begins(host.get_name(), task)
        if self._journal is not None and self._listening is not None:
            note_sources(self._listening.watch, host.get_name(), task)
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
        """Say what became of each tier, note it for the report, and see that the exit status says the same."""
        self._failed = [*stats.failures, *stats.dark]
        journal = self._journal
        lost = [] if journal is None else unbuilt(journal)
        self._end(os.getpid())
        if stats.failures or stats.dark:
            return
        if self._awaited:
            self._fail(
                "nothing was done: no host began. The inventory has no tiers (-i names it, --limit chooses among its "
                "hosts), or --skip-tags, --tags or --start-at-task left the first task out"
            )
        elif lost:
            self._fail(f"not built, although no task failed: {', '.join(lost)}; start the playbook again")

    def _fail(self, why: str) -> None:
        """End with a status that says so: Ansible's own would be that of a success."""
        self._display.error(why)
        raise SystemExit(1)

    def _give_up(self, why: str) -> None:
        """End this process where Ansible cannot: it would wait for processes that wait for each other."""
        self._display.error(why)
        self._end(os.getpid())
        sys.stdout.flush()
        os._exit(1)

    def _tell(self, journal: Journal) -> None:
        if self._told:
            return
        self._told = True
        note_run(journal, warn)
        try:
            self._tell_images(journal)
        finally:  # why tiers failed is told where no engine answers as well
            for line in failures(journal, repeat(), self._failed):
                say(line)

    def _tell_images(self, journal: Journal) -> None:
        engine = connect()
        for line in summary(engine, journal, everything=self._display.verbosity > 0):
            say(line)
        if told := keep_column(engine, journal):
            say(f"\n{told}")
        write_files(engine, journal, repeat(), self._failed)

    def _end(self, owner: int) -> None:
        """Say what became of each tier, and clear the run away; a worker that was forked from the owner must not."""
        journal, self._journal = self._journal, None
        if journal is None or owner != os.getpid():
            return
        if self._listening is not None:
            self._listening.stop()
            self._listening = None
        try:
            if self._signals is not None and self._signals.ended_by is not None:
                self._display.error(f"the run was ended by {self._signals.ended_by.name} and is cleared away")
            self._tell(journal)
        except TierwrightError as error:
            warn(str(error))
        except OSError:
            pass  # nobody reads what is said: the terminal was closed
        except Exception as error:  # noqa: BLE001 - the run is over, and has to be cleared away
            warn(unexpected(f"telling the end of run {journal.run}", error))
        self._clear(journal)

    def _clear(self, journal: Journal) -> None:
        for child in multiprocessing.active_children():  # only after an abort; one that is stopped does not end
            child.kill()
        try:
            clear_run(connect(), journal.run)
            let_all_go(connect(), journal)
        except TierwrightError as error:
            warn(f"{error}; the next run clears what is left")
            return
        journal.end()


def _tasks(playbook: Any) -> Any:
    for play in playbook.get_plays():
        for block in play.tasks:
            yield from block.get_tasks()


def _quiet_reader(others: Any) -> Any:
    """Say nothing of a thread of Ansible's that the supervisor starts again."""

    def ended(args: threading.ExceptHookArgs) -> None:
        if args.thread is None or "results_thread_main" not in args.thread.name:
            others(args)

    return ended


def _content(result: Any) -> Mapping[str, Any]:
    return getattr(result, "result", None) or {}
