# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# ruff: noqa: SLF001 - Ansible has no public names for this
"""Supervises one play in Ansible's main process: every tier comes to an end, and the journal records its end.

Ansible's strategies wait for exactly one result of each started task, and for nothing else. Therefore:

- A play hangs if a worker is killed, if no process can be started, or if the thread that reads results dies
  (https://github.com/ansible/ansible/issues/86027).
- An error outside a worker ends the play for all hosts.
- A host that leaves the play early counts as done.
- A tier whose parent fails its tests meanwhile would be built to the end, for nothing.

The supervisor turns each of these into a task that fails for one host. The playbook's ``rescue`` then gives that tier
up, the journal informs tiers that wait for it, and the other tiers continue.

A strategy plugin would be the usual place for this, but Ansible deprecates strategy plugins other than its own.
Therefore the supervisor wraps those methods of the play's strategy object that the strategy's loop calls.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import msgspec
from ansible.executor.play_iterator import FailedStates, IteratingStates
from ansible.plugins.strategy import StrategyBase, results_thread_main

from ..errors import RunError
from ..handover.tried_record import is_trial
from ..state.journal import Journal
from ..state.kept_builds import resumed_build
from ..state.plan_records import read_plan
from ..state.tier_records import note_disturbance
from ..tier_build.parent import lost_parent, parent_in_run
from .result_wait import ResultWait
from .resumption import Resumption
from .supervised_tasks import RunningTask, failing_blocks, failing_task, replace_unsuitable
from .task_observer import describe_task, is_own_task

#: Seconds between two checks.
_CHECK_SECONDS = 0.1
#: Number of checks within which the result of an ended worker must arrive.
_CHECKS_FOR_RESULT = 10
#: Number of checks for which the pipe for results may stay locked after a worker was killed.
_CHECKS_FOR_PIPE = 100

#: The first task of a tier in each play that must record an outcome.
_FIRST_TASKS = frozenset(f"tierwright.chain.tier_{each}" for each in ("base", "start", "test"))

#: Begin of the names of Tierwright's own actions.
_OWN_ACTIONS = "tierwright.chain."

#: Name of a host, and the UUID of its task.
TaskKey = tuple[str, str]


class SupervisorCallbacks(msgspec.Struct, frozen=True):
    """Functions that a supervisor calls."""

    #: Prints a line for the user.
    say: Callable[[str], None]
    #: Ends this process, because the run cannot continue; called with the reason.
    give_up: Callable[[str], None]
    #: Called before each check.
    turn: Callable[[], None]


def calling_strategy() -> Any:
    """The strategy that called the callback plugin; ``None`` if no strategy did."""
    frame = sys._getframe()  # Ansible does not pass the strategy to callbacks
    while (frame := frame.f_back) is not None:  # type: ignore[assignment]
        if isinstance(found := frame.f_locals.get("self"), StrategyBase):
            return found
    return None


class Supervisor:
    """Supervises one play."""

    def __init__(self, strategy: Any, journal: Journal | None, callbacks: SupervisorCallbacks) -> None:
        """Wrap the methods of a strategy.

        Args:
            strategy: Ansible's strategy, before it starts its first task.
            journal: The run's journal; ``None`` while the run is being planned.
            callbacks: Functions to call.
        """
        self.strategy, self._journal, self._callbacks = strategy, journal, callbacks
        self._running: dict[TaskKey, RunningTask] = {}
        self._unfinished: set[str] = set()
        self._reasons: dict[str, str] = {}
        self._parents: dict[str, str | None] = {}
        self._resumptions: dict[str, Resumption | None] = {}
        self._failed_results: set[TaskKey] = set()
        self._checked_tasks: set[str] = set()
        self._iterator: Any = None
        self._next_check = 0.0
        self._wait = ResultWait(strategy)
        self._killed, self._locked = False, 0
        self._original_queue, self._original_process = strategy._queue_task, strategy._process_pending_results
        self._original_wait, self._original_meta = strategy._wait_on_pending_results, strategy._execute_meta
        self._original_load, self._original_copy = strategy._load_included_file, strategy._copy_included_file
        strategy._queue_task, strategy._process_pending_results = self._queue_task, self._process_results
        strategy._wait_on_pending_results, strategy._execute_meta = self._await_results, self._execute_meta
        strategy._load_included_file, strategy._copy_included_file = self._load_file, self._copy_include
        strategy._tqm.has_dead_workers = lambda: False  # it would end the play for all hosts

    def note_task(self, host: str, task: Any) -> None:
        """Note that a task is about to start. From the first task of a tier on, its outcome must be recorded."""
        if self._journal is not None and str(task.action) in _FIRST_TASKS:
            self._unfinished.add(host)

    # Wrappers that the strategy calls.

    def _queue_task(self, host: Any, task: Any, task_vars: Any, play_context: Any) -> None:
        if why := self._lost_parent(host.name, task):
            self._reasons[host.name] = why
            task = failing_task(task, why, self._iterator._play)
        elif (resumption := self._resumption(host.name)) is not None and not is_own_task(task):
            task = resumption.substitute(task, describe_task(task), self._iterator._play)
        self._wait.note_work()
        pending = self.strategy._pending_results
        self._original_queue(host, task, task_vars, play_context)
        key, worker = (host.name, task._uuid), self._worker_of(host, task)
        if self.strategy._pending_results == pending:  # starting a worker failed, and the strategy hides that
            self.strategy._pending_results += 1
            self.strategy._queued_task_cache[key] = {
                "host": host,
                "task": task,
                "task_vars": task_vars,
                "play_context": play_context,
            }
            worker = None
        self._running[key] = RunningTask(worker and worker._popen)

    def _process_results(self, iterator: Any, one_pass: bool = False, max_passes: int | None = None) -> list[Any]:  # noqa: FBT001, FBT002
        self._wrap_iterator(iterator)
        self._wait.wait(self._next_check)
        if time.monotonic() >= self._next_check:
            self._check_tasks()
            self._next_check = time.monotonic() + _CHECK_SECONDS
        done: list[Any] = []
        for count in itertools.count(1):
            first = next(iter(self.strategy._results), None)
            try:
                new = self._original_process(iterator, one_pass=True)
            except Exception as error:
                key = first and (first.host.name, first.task._uuid)
                if key is None or key in self._failed_results:
                    raise
                self._failed_results.add(key)  # only once: Ansible must be able to process the result of a failing task
                self._fail_task(key, str(error))
                continue
            done += new
            if not new or one_pass or count == max_passes:
                return done
        return done

    def _await_results(self, iterator: Any) -> list[Any]:
        self._wrap_iterator(iterator)
        results: list[Any] = self._original_wait(iterator)
        self._record_finished_tiers()
        return results

    def _execute_meta(self, task: Any, play_context: Any, iterator: Any, target_host: Any) -> Any:
        self._wrap_iterator(iterator)
        self._wait.note_work()
        hosts = iterator._play.hosts
        if task.args.get("_raw_params") == "clear_facts":
            iterator._play.hosts = [target_host.name]  # else Ansible clears the facts of all tiers
        try:
            return self._original_meta(task, play_context, iterator, target_host)
        except Exception as error:  # noqa: BLE001 - any error here concerns only this host
            self._mark_host_failed(target_host, f"meta: {task.args.get('_raw_params')}: {error}")
            return []
        finally:
            iterator._play.hosts = hosts

    def _load_file(self, included_file: Any, iterator: Any, **options: Any) -> Any:
        try:
            return self._original_load(included_file, iterator, **options)
        except Exception as error:  # noqa: BLE001 - any error here concerns only the hosts of this include
            return failing_blocks(included_file, str(error), iterator._play)

    def _copy_include(self, included_file: Any) -> Any:
        include = self._original_copy(included_file)
        if not included_file._is_role:
            return include
        load = include.get_block_list

        def get_block_list(play: Any = None, variable_manager: Any = None, loader: Any = None) -> Any:
            try:
                return load(play=play, variable_manager=variable_manager, loader=loader)
            except Exception as error:  # noqa: BLE001 - the same
                return failing_blocks(included_file, str(error), play), []

        include.get_block_list = get_block_list
        return include

    # Checks.

    def _wrap_iterator(self, iterator: Any) -> None:
        """Make the iterator replace unsuitable tasks of roles before the strategy sees them."""
        if self._iterator is iterator:
            return
        self._iterator, get_next = iterator, iterator.get_next_task_for_host
        playbook = _source_file(iterator._play)

        def get_next_task_for_host(host: Any, peek: bool = False) -> Any:  # noqa: FBT001, FBT002
            state, task = get_next(host, peek=peek)
            if task is not None and not task.implicit and task._uuid not in self._checked_tasks:
                self._checked_tasks.add(task._uuid)
                if self._journal is not None and _source_file(task) != playbook:
                    replace_unsuitable(task)
            return state, task

        iterator.get_next_task_for_host = get_next_task_for_host

    def _check_tasks(self) -> None:
        self._callbacks.turn()
        if not self.strategy._results_thread.is_alive():
            self._restart_results_thread()
        for worker in self.strategy._workers:  # the first task may have started before this supervisor
            if worker is not None:
                self._running.setdefault((worker._host.name, worker._task._uuid), RunningTask(worker._popen))
        arrived = {(result.host.name, result.task._uuid) for result in tuple(self.strategy._results)}
        for key, running in list(self._running.items()):
            if key not in self.strategy._queued_task_cache:
                del self._running[key]
            elif key not in arrived and running.has_ended():
                running.checks += 1
                if running.checks >= _CHECKS_FOR_RESULT:
                    self._killed |= running.was_killed
                    if self._journal is not None:
                        note_disturbance(self._journal, key[0], str(running))
                    self._fail_task(key, str(running))
        if self._killed:
            self._check_pipe()
        self._record_finished_tiers()

    def _restart_results_thread(self) -> None:
        thread = threading.Thread(target=results_thread_main, args=(self.strategy,), daemon=True)
        self.strategy._results_thread = thread
        thread.start()

    def _check_pipe(self) -> None:
        """End the run if a killed worker left the pipe for results locked: no other worker can write to it."""
        lock = self.strategy._final_q._wlock
        if lock.acquire(block=False):
            lock.release()
            self._locked = 0
            return
        self._locked += 1
        if self._locked >= _CHECKS_FOR_PIPE:
            self._callbacks.give_up(
                "a process of Ansible was killed while it wrote its result, and no other process can write its result "
                "now, so this run ends; start the playbook again"
            )

    def _record_finished_tiers(self) -> None:
        """Record the end of tiers that have no more tasks. A tier without an image counts as failed."""
        for name in sorted(self._unfinished):
            state = self._iterator.host_states.get(name)
            if state is None or state.run_state != IteratingStates.COMPLETE:
                continue
            self._unfinished.remove(name)
            journal = cast(Journal, self._journal)  # nothing is open without one
            host = self.strategy._inventory.get_host(name)
            cause = "a task failed" if self._iterator.is_failed(host) else "its role left the play"
            journal.failed(name, self._reasons.get(name, f"{cause} before the tier was sealed and tested"))
            outcome = journal.outcome(name)
            if outcome and outcome.image is None and not self._iterator.is_failed(host) and not is_trial(journal):
                self._callbacks.say(f"tier {name!r} failed: {outcome.reason}")
                self._iterator.set_fail_state_for_host(name, FailedStates.TASKS)
                self._count_failure(host)

    # Failures.

    def _resumption(self, host: str) -> Resumption | None:
        """Return what must not be repeated of a tier's failed build; ``None`` if the run does not resume it."""
        if self._journal is None:
            return None
        if host not in self._resumptions:
            kept = resumed_build(self._journal, host)
            self._resumptions[host] = Resumption(kept.run, kept.tasks) if kept else None
        return self._resumptions[host]

    def _lost_parent(self, host: str, task: Any) -> str:
        """Say why a role need not go on: the parent of its tier failed meanwhile. Empty if it must go on."""
        is_own = str(task.action).startswith(_OWN_ACTIONS)  # they look themselves, and give the tier up
        if self._journal is None or is_own or host not in self._unfinished:
            return ""
        if host not in self._parents:
            try:
                self._parents[host] = parent_in_run(self._journal, read_plan(self._journal, host))
            except RunError:  # Tierwright's own tasks report a plan that is damaged
                return ""
        return lost_parent(self._journal, host, self._parents[host])

    def _fail_task(self, key: TaskKey, why: str) -> None:
        """Start a failing task instead of a task whose result will not arrive."""
        queued = self.strategy._queued_task_cache[key]
        self._reasons[key[0]] = why
        self.strategy._pending_results -= 1  # starting it counts it again
        task = failing_task(queued["task"], why, self._iterator._play)
        self._queue_task(queued["host"], task, queued["task_vars"], queued["play_context"])

    def _mark_host_failed(self, host: Any, why: str) -> None:
        """Mark a host as failed outside of a task, as Ansible does for a failed task: a ``rescue`` finds the reason."""
        self._callbacks.say(f"tier {host.name!r}: {why}")
        facts = {"ansible_failed_task": {"name": "meta"}, "ansible_failed_result": {"failed": True, "msg": why}}
        self.strategy._variable_manager.set_nonpersistent_facts(host.name, facts)
        self._iterator.mark_host_failed(host)
        self.strategy._tqm._stats.increment("failures", host.name)

    def _count_failure(self, host: Any) -> None:
        self._iterator._play._removed_hosts.append(host.name)
        self.strategy._tqm._failed_hosts[host.name] = True
        self.strategy._tqm._stats.increment("failures", host.name)

    def _worker_of(self, host: Any, task: Any) -> Any:
        workers = (worker for worker in self.strategy._workers if worker is not None)
        return next((worker for worker in workers if worker._host is host and worker._task is task), None)


def _source_file(entry: Any) -> str:
    return str(entry.get_path() or "").rpartition(":")[0]
