# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# ruff: noqa: SLF001 - Ansible gives none of this other names
"""One watch over a play, in Ansible's main process: whatever happens to a tier there, it ends, and its end is recorded.

Ansible's strategies wait for exactly one result of each task that they started, and for nothing else. So a play hangs
when a worker is killed, when no process can be started, or when the thread that reads results dies
(https://github.com/ansible/ansible/issues/86027); an error that is noticed outside a worker ends it for all hosts; and
a host that leaves it early counts as done. Each of these becomes a task that fails for one host: the playbook's
``rescue`` gives that tier up, tiers that wait for it are told through the journal, and the others go on.

A strategy plugin of our own would be the place for this, but Ansible deprecates all except its own. So the strategy
object of one play gets wrappers around the few methods that its loop calls.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from ansible.executor.play_iterator import FailedStates, IteratingStates
from ansible.plugins.strategy import StrategyBase, results_thread_main

from ..state.journal import Journal
from .supervised_tasks import Running, failing_blocks, failing_task, suit

#: Seconds between two looks; how many looks a worker that ended has for its result to arrive; and how many the pipe
#: for results may stay locked after a worker was killed.
_LOOK_SECONDS = 0.1
_LOOKS_FOR_RESULT = 10
_LOOKS_FOR_PIPE = 100

#: Tasks with which a tier begins, in a play that ends with its outcome.
_BEGINNINGS = frozenset(f"tierwright.chain.tier_{each}" for each in ("base", "start", "test"))

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Reports:
    """Whom a watch talks to."""

    #: Called with a line for the user.
    say: Callable[[str], None]
    #: Called with the reason when the run cannot go on; it ends this process.
    give_up: Callable[[str], None]
    #: Called in each turn of the strategy's loop.
    turn: Callable[[], None]


def calling_strategy() -> Any:
    """The strategy whose call of a callback this is; ``None`` if no strategy called."""
    frame = sys._getframe()  # callbacks are not given the strategy
    while (frame := frame.f_back) is not None:  # type: ignore[assignment]
        if isinstance(found := frame.f_locals.get("self"), StrategyBase):
            return found
    return None


class Supervisor:
    """The watch over one play."""

    def __init__(self, strategy: Any, journal: Journal | None, reports: Reports) -> None:
        """Begin to watch.

        Args:
            strategy: Ansible's strategy, which is about to start its first task.
            journal: The run's journal; ``None`` while the run is being planned.
            reports: Whom to talk to.
        """
        self.strategy, self._journal, self._reports = strategy, journal, reports
        self._running: dict[Key, Running] = {}
        self._open: set[str] = set()
        self._reasons: dict[str, str] = {}
        self._refused: set[Key] = set()
        self._suited: set[str] = set()
        self._iterator: Any = None
        self._next_look = 0.0
        self._killed, self._locked = False, 0
        self._queue, self._process = strategy._queue_task, strategy._process_pending_results
        self._await, self._meta = strategy._wait_on_pending_results, strategy._execute_meta
        self._load, self._copy = strategy._load_included_file, strategy._copy_included_file
        strategy._queue_task, strategy._process_pending_results = self._queue_task, self._process_results
        strategy._wait_on_pending_results, strategy._execute_meta = self._await_results, self._execute_meta
        strategy._load_included_file, strategy._copy_included_file = self._load_file, self._copy_include
        strategy._tqm.has_dead_workers = lambda: False  # it would end the play for all hosts

    def begins(self, host: str, task: Any) -> None:
        """Take note of a task that is about to be started."""
        if self._journal is not None and str(task.action) in _BEGINNINGS:
            self._open.add(host)

    # What the strategy calls.

    def _queue_task(self, host: Any, task: Any, task_vars: Any, play_context: Any) -> None:
        pending = self.strategy._pending_results
        self._queue(host, task, task_vars, play_context)
        key, worker = (host.name, task._uuid), self._worker_of(host, task)
        if self.strategy._pending_results == pending:  # it failed, and the strategy says nothing of that
            self.strategy._pending_results += 1
            self.strategy._queued_task_cache[key] = {
                "host": host,
                "task": task,
                "task_vars": task_vars,
                "play_context": play_context,
            }
            worker = None
        self._running[key] = Running(worker and worker._popen)

    def _process_results(self, iterator: Any, one_pass: bool = False, max_passes: int | None = None) -> list[Any]:  # noqa: FBT001, FBT002
        self._adopt(iterator)
        if time.monotonic() >= self._next_look:
            self._look()
            self._next_look = time.monotonic() + _LOOK_SECONDS
        done: list[Any] = []
        for count in itertools.count(1):
            first = next(iter(self.strategy._results), None)
            try:
                new = self._process(iterator, one_pass=True)
            except Exception as error:
                key = first and (first.host.name, first.task._uuid)
                if key is None or key in self._refused:
                    raise
                self._refused.add(key)  # once: what Ansible makes of a task that fails must work
                self._fail_task(key, str(error))
                continue
            done += new
            if not new or one_pass or count == max_passes:
                return done
        return done

    def _await_results(self, iterator: Any) -> list[Any]:
        self._adopt(iterator)
        results: list[Any] = self._await(iterator)
        self._see_who_left()
        return results

    def _execute_meta(self, task: Any, play_context: Any, iterator: Any, target_host: Any) -> Any:
        self._adopt(iterator)
        hosts = iterator._play.hosts
        if task.args.get("_raw_params") == "clear_facts":
            iterator._play.hosts = [target_host.name]  # it is for all hosts of the play, and so other tiers
        try:
            return self._meta(task, play_context, iterator, target_host)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is about this host alone
            self._fail_host(target_host, f"meta: {task.args.get('_raw_params')}: {error}")
            return []
        finally:
            iterator._play.hosts = hosts

    def _load_file(self, included_file: Any, iterator: Any, **how: Any) -> Any:
        try:
            return self._load(included_file, iterator, **how)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is about these hosts alone
            return failing_blocks(included_file, str(error), iterator._play)

    def _copy_include(self, included_file: Any) -> Any:
        include = self._copy(included_file)
        if not included_file._is_role:
            return include
        load = include.get_block_list

        def get_block_list(play: Any = None, variable_manager: Any = None, loader: Any = None) -> Any:
            try:
                return load(play=play, variable_manager=variable_manager, loader=loader)
            except Exception as error:  # noqa: BLE001 - as above
                return failing_blocks(included_file, str(error), play), []

        include.get_block_list = get_block_list
        return include

    # What is looked for.

    def _adopt(self, iterator: Any) -> None:
        """Let each task that comes from outside the playbook fit a build, before the strategy looks at it."""
        if self._iterator is iterator:
            return
        self._iterator, get = iterator, iterator.get_next_task_for_host
        playbook = _file_of(iterator._play)

        def get_next_task_for_host(host: Any, peek: bool = False) -> Any:  # noqa: FBT001, FBT002
            state, task = get(host, peek=peek)
            if task is not None and not task.implicit and task._uuid not in self._suited:
                self._suited.add(task._uuid)
                if self._journal is not None and _file_of(task) != playbook:
                    suit(task)
            return state, task

        iterator.get_next_task_for_host = get_next_task_for_host

    def _look(self) -> None:
        self._reports.turn()
        if not self.strategy._results_thread.is_alive():
            self._restart_reader()
        for worker in self.strategy._workers:  # the first task was on its way when this watch began
            if worker is not None:
                self._running.setdefault((worker._host.name, worker._task._uuid), Running(worker._popen))
        arrived = {(each.host.name, each.task._uuid) for each in tuple(self.strategy._results)}
        for key, running in list(self._running.items()):
            if key not in self.strategy._queued_task_cache:
                del self._running[key]
            elif key not in arrived and running.has_ended():
                running.looks += 1
                if running.looks >= _LOOKS_FOR_RESULT:
                    self._killed |= running.was_killed
                    self._fail_task(key, str(running))
        if self._killed:
            self._check_pipe()
        self._see_who_left()

    def _restart_reader(self) -> None:
        thread = threading.Thread(target=results_thread_main, args=(self.strategy,), daemon=True)
        self.strategy._results_thread = thread
        thread.start()

    def _check_pipe(self) -> None:
        """A worker that is killed while it writes its result leaves the pipe locked for all others."""
        lock = self.strategy._final_q._wlock
        if lock.acquire(block=False):
            lock.release()
            self._locked = 0
            return
        self._locked += 1
        if self._locked >= _LOOKS_FOR_PIPE:
            self._reports.give_up(
                "a process of Ansible's was killed while it handed over its result, and no other one can hand over any "
                "more, so this run ends; start the playbook again"
            )

    def _see_who_left(self) -> None:
        """Record the end of tiers that have no more tasks, and let each that has no image count as failed."""
        for name in sorted(self._open):
            state = self._iterator.host_states.get(name)
            if state is None or state.run_state != IteratingStates.COMPLETE:
                continue
            self._open.remove(name)
            journal = cast(Journal, self._journal)  # nothing is open without one
            host = self.strategy._inventory.get_host(name)
            how = "a task failed" if self._iterator.is_failed(host) else "its role left the play"
            journal.failed(name, self._reasons.get(name, f"{how} before the tier was sealed and tested"))
            outcome = journal.outcome(name)
            if outcome and outcome.image is None and not self._iterator.is_failed(host):
                self._reports.say(f"tier {name!r} failed: {outcome.reason}")
                self._iterator.set_fail_state_for_host(name, FailedStates.TASKS)
                self._count_failure(host)

    # What is done about it.

    def _fail_task(self, key: Key, why: str) -> None:
        """Start a task that fails in the place of one whose result will not come."""
        queued = self.strategy._queued_task_cache[key]
        self._reasons[key[0]] = why
        self.strategy._pending_results -= 1  # starting it counts it again
        task = failing_task(queued["task"], why, self._iterator._play)
        self._queue_task(queued["host"], task, queued["task_vars"], queued["play_context"])

    def _fail_host(self, host: Any, why: str) -> None:
        """Let a host fail outside a task, as Ansible does for one inside: a ``rescue`` finds the reason."""
        self._reports.say(f"tier {host.name!r}: {why}")
        facts = {"ansible_failed_task": {"name": "meta"}, "ansible_failed_result": {"failed": True, "msg": why}}
        self.strategy._variable_manager.set_nonpersistent_facts(host.name, facts)
        self._iterator.mark_host_failed(host)
        self.strategy._tqm._stats.increment("failures", host.name)

    def _count_failure(self, host: Any) -> None:
        self._iterator._play._removed_hosts.append(host.name)
        self.strategy._tqm._failed_hosts[host.name] = True
        self.strategy._tqm._stats.increment("failures", host.name)

    def _worker_of(self, host: Any, task: Any) -> Any:
        workers = (each for each in self.strategy._workers if each is not None)
        return next((each for each in workers if each._host is host and each._task is task), None)


def _file_of(thing: Any) -> str:
    return str(thing.get_path() or "").rpartition(":")[0]
