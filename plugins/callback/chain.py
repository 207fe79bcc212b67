# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Supervises a run from Ansible's main process."""

from __future__ import annotations

DOCUMENTATION = r"""
name: chain
type: notification
short_description: Supervises a run over a chain
description:
  - Records the failure of an unreachable tier, so that other tiers do not wait for it. That tier runs no more tasks.
  - Removes the temporary things that the run left on the engine, however the run ends.
  - Marks only the affected tier as failed if the process of a task was killed, if a role leaves the play, or if Ansible
    would end the whole run. Other tiers continue.
  - Ends a run on SIGTERM and SIGHUP as on Ctrl-C.
  - Makes a run fail if it has no plan, or if it did not build all planned tiers, although Ansible reports no failure.
  - Records which sources a role uses outside its own folder, and when each task begins.
  - Writes the profile of a run, which says where the time went, if the variable C(tier_profile) is set.
  - Lets M(tierwright.chain.image_service) do the work of tasks that manage services in build containers.
  - Prints a summary of all tiers, and records their status for C(tierwright report).
  - Ansible loads this plugin automatically. In playbooks of other collections, it only does what
    concerns build containers.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
"""

import atexit
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import stopwatch
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.matrix_store import record_column
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine, connect, import_ahead
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    RunError,
    TierwrightError,
    describe_error,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.tried_record import is_trial
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import guard_display, say, warn
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook import garbage_collection
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    resume_command,
    unexpected_error,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.service_tasks import (
    is_service_task,
    redirect,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.supervisor import (
    Supervisor,
    SupervisorCallbacks,
    calling_strategy,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.task_observer import (
    Recording,
    add_role_folders,
    current_work,
    failure_of,
    name_roles_by_folder,
    note_sources,
    note_task,
    note_task_result,
    start_recording,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.task_plugins import load_task_plugins
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.task_times import TaskTimes
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.profile.measuring import start_measuring
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.lifecycle import Signals
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.result import write_files
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.summary import (
    explanations,
    failures,
    summary,
    unbuilt,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.kept_builds import resumes
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.run_log import store_logs
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.status import note_run
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.tier_records import note_disturbance
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.candidates import drop_all_holds
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.cleanup import clear_run, stop_resumed
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.failure import note_failed_task
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.keeping import keep_all

_PLAN = "tierwright.chain.tier_plan"
_DISCARD = "tierwright.chain.tier_discard"

#: The first action of each playbook of this collection. Without it, a run does nothing.
_FIRST = frozenset(f"tierwright.chain.{name}" for name in ("chain_prune", "chain_remove", "tier_plan", "tier_rollback"))


class CallbackModule(CallbackBase):
    """Supervises one run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "tierwright.chain.chain"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._journal: Journal | None = None
        self._alive: IO[bytes] | None = None
        self._recording: Recording | None = None
        self._signals: Signals | None = None
        self._supervisor: Supervisor | None = None
        #: The first actions of the playbook, as long as no task has begun.
        self._awaited: set[str] = set()
        self._has_summary = False
        self._engine: Engine | None = None
        #: Exit status that the plan asks for.
        self._exit_code = 0
        #: Failed and unreachable hosts, at the end of the run.
        self._failed: list[str] = []
        self._play: Any = None
        #: ``None`` if the run writes no profile.
        self._times: TaskTimes | None = None

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Install the signal handlers."""
        self._times = TaskTimes()
        self._has_summary = False  # ansible-playbook can run several playbooks, one after the other
        self._awaited = {str(task.action) for task in _tasks(playbook)} & _FIRST
        if self._awaited:
            self._signals = Signals()
            self._signals.install()
            garbage_collection.collect_less_often()
            threading.excepthook = _hide_results_thread(threading.excepthook)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Keep the play, which contains the loaded roles."""
        self._play = play
        if self._signals is not None:
            garbage_collection.freeze_objects()

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Give a role that was just loaded a readable name, before its first task begins."""
        name_roles_by_folder(self._play)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Take over the journal of a run as soon as the run is planned, and record the result of each task."""
        self._note_end(result, "changed" if _content(result).get("changed") else "ok")
        if result.task.resolved_action == _PLAN:
            self._exit_code = _content(result).get("exit_code", 0)
        if result.task.resolved_action == _PLAN and _content(result).get("run"):
            self._journal = Journal(Path(_content(result)["run"]))
            guard_display()
            self._alive = self._journal.hold()
            atexit.register(self._end, os.getpid())
            add_role_folders(self._journal)
            if _content(result).get("gate"):
                load_task_plugins()
                import_ahead()  # the tasks that start and end tiers need the engine's SDK
            if not start_measuring(self._journal, current_work):
                self._times = None
            if _content(result).get("builds"):
                self._recording = start_recording(self._journal)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Supervise the play, and record when a tier's task begins, and which role and file it comes from."""
        self._awaited.clear()
        if self._times is not None and self._signals is not None:
            self._times.note_start(host.get_name(), task)
        if self._signals is not None:
            strategy = calling_strategy()
            if strategy is not None and (self._supervisor is None or self._supervisor.strategy is not strategy):
                callbacks = SupervisorCallbacks(self._display.error, self._give_up, self._signals.install)
                self._supervisor = Supervisor(strategy, self._journal, callbacks)
            if self._supervisor is not None:
                self._supervisor.note_task(host.get_name(), task)
        if self._journal is not None and self._recording is not None:
            note_sources(self._recording.watch, host.get_name(), task)
            note_task(self._journal, host.get_name(), task)
        if is_service_task(task):
            redirect(task, self._connection_of(host, task))

    def _connection_of(self, host: Any, task: Any) -> object:
        strategy = calling_strategy()
        if strategy is None:
            return None
        variables = strategy._variable_manager.get_vars(play=self._play, host=host, task=task)  # noqa: SLF001 - no public name
        return variables.get("ansible_connection")

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Record the end of a task."""
        self._note_end(result, "skipped")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Record a tier's failed task, so that ``tier_discard`` and the summary can explain the failure."""
        self._note_end(result, "ignored" if ignore_errors else "failed")
        if self._journal is not None and not ignore_errors and result.task.resolved_action != _DISCARD:
            note_failed_task(self._journal, result.host.get_name(), failure_of(result.task, _content(result)))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Record the failure of a tier whose build container or agent cannot be reached, so that its children stop."""
        self._note_end(result, "unreachable")
        if self._journal is not None and not result.task.ignore_unreachable:
            reason = f"{result.task.get_name()}: {_content(result).get('msg', 'unreachable')}"
            note_disturbance(self._journal, result.host.get_name(), reason)
            self._journal.failed(result.host.get_name(), reason)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print the summary, record the status of all tiers, and make the run fail if tiers are missing."""
        self._failed = [*stats.failures, *stats.dark]
        journal = self._journal
        missing = [] if journal is None else unbuilt(journal)
        tries = journal is not None and is_trial(journal)
        self._end(os.getpid())
        if stats.failures or stats.dark:
            return
        if self._awaited:
            self._fail(
                "nothing was done: no host began. The inventory has no tiers (-i names it, --limit chooses among its "
                "hosts), or --skip-tags, --tags or --start-at-task excluded the first task"
            )
        elif missing and tries:
            self._fail(f"not passed upon the candidates: {', '.join(missing)}")
        elif missing:
            self._fail(f"not built, although no task failed: {', '.join(missing)}; start the playbook again")
        elif self._exit_code:
            raise SystemExit(self._exit_code)

    def _note_end(self, result: Any, status: str) -> None:
        host, task = result.host.get_name(), result.task
        if self._times is not None:
            self._times.note_end(host, task, status)
        if self._journal is not None:
            note_task_result(self._journal, host, task, status, _content(result))

    def _fail(self, message: str) -> None:
        """End with exit status 1, because Ansible would report a success."""
        self._display.error(message)
        raise SystemExit(1)

    def _give_up(self, message: str) -> None:
        """End this process if Ansible cannot, because it waits for processes that wait for each other."""
        self._display.error(message)
        self._end(os.getpid())
        sys.stdout.flush()
        os._exit(1)

    def _show_results(self, journal: Journal) -> None:
        if self._has_summary:
            return
        self._has_summary = True
        if not is_trial(journal) and not resumes(journal):  # the status says how the chain is, not how it would be
            note_run(journal, warn)
        try:
            keep_all(self._connect(), journal)
            self._show_summary(journal)
        finally:  # print the failures even if no engine answers
            self._show_profile(journal)
            for line in failures(journal, resume_command(), self._failed):
                say(line)
            self._store_logs(journal)

    def _show_summary(self, journal: Journal) -> None:
        engine = self._connect()
        for line in summary(engine, journal, everything=self._display.verbosity > 0):
            say(line)
        if not resumes(journal) and (lines := record_column(engine, journal)):
            say(f"\n{lines}")
        write_files(engine, journal, resume_command(), self._failed)

    def _store_logs(self, journal: Journal) -> None:
        try:
            store_logs(journal, explanations(journal))
        except OSError as error:
            warn(f"tierwright logs will not show this run, because its log cannot be stored: {describe_error(error)}")

    def _show_profile(self, journal: Journal) -> None:
        if self._times is None:
            return
        from ansible_collections.tierwright.chain.plugins.plugin_utils._core.profile.run_profile import (  # noqa: PLC0415
            write_profile,
        )
        from ansible_collections.tierwright.chain.plugins.plugin_utils._core.profile.table import (  # noqa: PLC0415
            profile_lines,
        )

        try:
            profile = write_profile(journal, self._times.tasks(), self._times.began, time.time())
        except RunError as error:
            warn(str(error))
            return
        for line in ("", *profile_lines(profile)):
            say(line)

    def _end(self, owner: int) -> None:
        """Print the results and clear the run, but only in the process ``owner``: forked workers must not do this."""
        journal, self._journal = self._journal, None
        if journal is None or owner != os.getpid():
            return
        stopwatch.stop()
        if self._recording is not None:
            self._recording.stop()
            self._recording = None
        try:
            if self._signals is not None and self._signals.ended_by is not None:
                name = self._signals.ended_by.name
                self._display.error(f"the run was ended by {name}; its temporary containers and images are removed")
            self._show_results(journal)
        except TierwrightError as error:
            warn(str(error))
        except OSError:
            pass  # the terminal was closed
        except Exception as error:  # noqa: BLE001 - the run is over, and must be cleared in any case
            warn(unexpected_error(f"the summary of run {journal.run}", error))
        self._clear(journal)

    def _connect(self) -> Engine:
        """Connect to the engine, at the end of a run."""
        if self._engine is None:
            self._engine = connect()
        return self._engine

    def _clear(self, journal: Journal) -> None:
        for child in multiprocessing.active_children():  # only after an abort; a stopped child would not end by itself
            child.kill()
        try:
            engine = self._connect()
            clear_run(engine, journal.run)
            stop_resumed(engine, journal)
            drop_all_holds(engine, journal)
        except TierwrightError as error:
            warn(f"{error}; the next run removes what is left")
            return
        journal.end()


def _tasks(playbook: Any) -> Any:
    for play in playbook.get_plays():
        for block in play.tasks:
            yield from block.get_tasks()


def _hide_results_thread(hook: Any) -> Any:
    """Wrap an excepthook so that it ignores Ansible's results thread, which the supervisor starts again."""

    def filtered_hook(args: threading.ExceptHookArgs) -> None:
        if args.thread is None or "results_thread_main" not in args.thread.name:
            hook(args)

    return filtered_hook


def _content(result: Any) -> Mapping[str, Any]:
    return getattr(result, "result", None) or {}
