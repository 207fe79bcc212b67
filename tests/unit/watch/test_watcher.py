"""The watcher compares, decides and starts work, one run at a time for each chain and site."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    ChainError,
    EngineError,
    PlanError,
    RunError,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.records import encode
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch import lanes, watcher
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.run_records import (
    RunOutcome,
    begin_run,
    end_run,
    read_runs,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.survey import WorkKind
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.watcher import InventoryWatcher
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.work_run import Watched

pytestmark = pytest.mark.once

WATCHED = Watched(("/srv/site.yml",), ("-i", "/srv/site.yml"))


class World:
    """What the watcher compares and changes: the surveys, and what the runs do."""

    def __init__(self, *surveys):
        self.surveys, self.asked, self.done, self.lines = list(surveys), 0, [], []
        self.outcome, self.seconds = RunOutcome.SUCCEEDED, 0.0
        self.going_on, self.most = 0, 0
        self.lock = threading.Lock()

    def ask(self, _arguments, _say, _is_unwanted):
        self.asked += 1
        survey = self.surveys.pop(0) if len(self.surveys) > 1 else self.surveys[0]
        if isinstance(survey, Exception):
            raise survey
        return survey

    def do(self, decision, watched, _limit, stop, began):
        run = begin_run(decision.need, list(decision.reasons), list(watched.inventories))
        began(run)
        with self.lock:
            self.going_on += 1
            self.most = max(self.most, self.going_on)
            self.done.append((decision.need.kind, decision.need.about))
        stopped = stop.wait(self.seconds)
        with self.lock:
            self.going_on -= 1
        return end_run(run, RunOutcome.INTERRUPTED if stopped else self.outcome)

    def watcher(self):
        return InventoryWatcher(WATCHED, self.lines.append, ask=self.ask, do=self.do)


def test_once_does_what_has_to_be_done_and_compares_again(make_survey, make_need):
    world = World(make_survey(make_need()), make_survey(make_need(reasons=())))
    assert world.watcher().once()
    assert (world.asked, world.done) == (2, [(WorkKind.DEPLOY, "shop")])
    begins, ends = world.lines
    assert begins.startswith("deploy shop begins as run deploy-20")
    assert begins.endswith(": web runs 1; latest is 2")
    assert ends.endswith("succeeded after 0 s")


def test_once_fails_if_a_run_fails_and_does_not_repeat_it(make_survey, make_need):
    world = World(make_survey(make_need()))
    world.outcome = RunOutcome.FAILED
    assert not world.watcher().once()
    assert len(world.done) == 1
    assert world.watcher().once()  # the next attempt has to wait
    assert len(world.done) == 1


def test_once_rolls_out_what_it_has_built(make_survey, make_need):
    built = make_need(kind=WorkKind.FOLLOW, about="chain")
    world = World(make_survey(built), make_survey(make_need()), make_survey(make_need(reasons=())))
    assert world.watcher().once()
    assert world.done == [(WorkKind.FOLLOW, "chain"), (WorkKind.DEPLOY, "shop")]


def test_once_tells_what_cannot_be_compared(make_survey):
    world = World(make_survey(problems=["registry x does not answer"]))
    assert not world.watcher().once()
    assert world.lines == ["cannot compare: registry x does not answer"]
    with pytest.raises(EngineError):
        World(EngineError("no")).watcher().once()


def test_work_on_one_chain_never_overlaps(make_survey, make_need):
    needs = [make_need(kind=kind, about="shop") for kind in (WorkKind.FOLLOW, WorkKind.TRY, WorkKind.DEPLOY)]
    world = World(make_survey(*needs), make_survey(*needs[1:]), make_survey(make_need(reasons=())))
    world.seconds = 0.2
    assert world.watcher().once()
    assert world.most == 2  # the chain, and the site
    assert sorted(kind.name for kind, _about in world.done) == ["DEPLOY", "FOLLOW", "TRY"]


def run_in_background(world, until):
    """Watch in the main thread until a condition holds, then send a signal."""

    def wait():
        deadline = time.monotonic() + 30
        while not until() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        world.watcher().watch()
    finally:
        thread.join()


def test_a_signal_ends_the_watcher_and_its_runs(make_survey, make_need):
    world = World(make_survey(make_need()))
    world.seconds = 60
    before = signal.getsignal(signal.SIGTERM)
    run_in_background(world, lambda: world.going_on)
    assert "the watcher stops" in world.lines
    assert re.search(r"was interrupted after \d+ s$", world.lines[-1])
    assert signal.getsignal(signal.SIGTERM) is before
    assert read_runs()[0].outcome is RunOutcome.INTERRUPTED


def test_interrupted_work_is_done_by_the_next_watcher(make_survey, make_need):
    world = World(make_survey(make_need()))
    world.seconds = 60
    run_in_background(world, lambda: world.going_on)
    world = World(make_survey(make_need()), make_survey(make_need(reasons=())))
    assert world.watcher().once()
    assert len(world.done) == 1


def test_comparisons_that_fail_are_repeated_and_told_once(make_survey, make_need, monkeypatch):
    monkeypatch.setattr(watcher, "_RETRY_SECONDS", 0.01)
    world = World(*[EngineError("no engine")] * 3, make_survey(make_need(reasons=())))
    run_in_background(world, lambda: any("watching" in line for line in world.lines))
    assert world.lines == [
        "cannot compare: no engine",
        "everything can be compared again",
        "watching shop: deploy; compared every 300 s",
        "the watcher stops",
    ]


def test_a_wrong_inventory_ends_the_watcher_at_once():
    with pytest.raises(ChainError, match="wrong"):
        World(ChainError("wrong")).watcher().watch()


def test_a_wrong_inventory_is_a_problem_later(make_survey, make_need, monkeypatch):
    monkeypatch.setattr(watcher, "_RETRY_SECONDS", 0.01)
    fine = make_survey(make_need(reasons=()), watch_interval=1.0)
    world = World(fine, ChainError("wrong"), fine)
    run_in_background(world, lambda: "everything can be compared again" in world.lines)
    assert "cannot compare: wrong" in world.lines


def test_held_and_waiting_work_is_told_once(make_survey, make_need):
    held = make_need(rejected="deployment deploy-1 was rolled back")
    world = World(make_survey(held, watch_interval=1.0))
    run_in_background(world, lambda: world.asked > 2)
    told = [line for line in world.lines if "is held" in line]
    assert told == ["deploy shop is held: web runs 1; latest is 2; deployment deploy-1 was rolled back"]
    assert world.done == []


def test_a_run_that_cannot_be_recorded_is_told(make_survey, make_need):
    world = World(make_survey(make_need()))

    def do(*_arguments):
        raise RunError("the record cannot be written")

    world.do = do
    run_in_background(world, lambda: any("cannot be recorded" in line for line in world.lines))
    assert "deploy shop cannot be recorded: the record cannot be written" in world.lines


def test_a_run_whose_end_cannot_be_recorded_is_repeated(make_survey, make_need, monkeypatch):
    monkeypatch.setattr(lanes, "_RETRY_SECONDS", 0.01)
    world = World(make_survey(make_need(), watch_interval=1.0))

    def do(decision, watched, limit, stop, began):
        if world.done:
            return World.do(world, decision, watched, limit, stop, began)
        world.done.append("no end")
        began(begin_run(decision.need, [], list(watched.inventories)))
        raise OSError(28, "No space left on device")

    world.do = do
    run_in_background(world, lambda: any("succeeded after" in line for line in world.lines))
    assert "deploy shop cannot be recorded: No space left on device" in world.lines
    assert len(world.done) > 1


def test_a_token_file_without_a_token_is_one_sentence(make_survey):
    fields = {"watch_listen": "127.0.0.1:0", "watch_notification_token_file": "none"}
    with pytest.raises(ChainError, match="which has no token"):
        World(make_survey(**fields)).watcher().watch()


def test_a_notification_causes_a_comparison_at_once(make_survey, make_need, tmp_path):
    (tmp_path / "token").write_text("correct-horse-battery")
    fields = {"watch_listen": "127.0.0.1:0", "watch_notification_token_file": "token"}
    fine = make_survey(make_need(reasons=()), **fields)
    world = World(fine, make_survey(make_need(), **fields), fine)

    def has_worked():
        address = [line.rpartition("http://")[2] for line in world.lines if "http://" in line]
        if address and world.asked == 1:
            connection = HTTPConnection(address[0], timeout=10)
            connection.request("POST", "/notifications", b"{}", {"Authorization": "Bearer correct-horse-battery"})
            assert connection.getresponse().status == 202
            connection.close()
        return any("succeeded after" in line for line in world.lines)

    run_in_background(world, has_worked)
    assert world.lines[0].startswith("health, metrics and notifications at http://127.0.0.1:")
    assert world.done == [(WorkKind.DEPLOY, "shop")]


def test_what_cannot_be_compared_is_compared_again_soon(make_survey, make_need, monkeypatch):
    monkeypatch.setattr(watcher, "_RETRY_SECONDS", 0.01)
    partial = make_survey(problems=["registry x does not answer"])
    world = World(partial, partial, make_survey(make_need()), make_survey(make_need(reasons=())))
    run_in_background(world, lambda: any("succeeded after" in line for line in world.lines))
    assert world.lines[0] == "cannot compare: registry x does not answer"
    assert "everything can be compared again" in world.lines


def test_a_signal_ends_a_comparison(make_survey):
    world = World(make_survey())

    def ask(_arguments, _say, is_unwanted):
        world.asked = 1
        wait_for(is_unwanted)
        raise RunError("not wanted")

    world.ask = ask
    run_in_background(world, lambda: world.asked)
    assert world.lines == ["the watcher stops"]


def test_output_of_ansible_is_told_once(make_survey, make_need, monkeypatch):
    monkeypatch.setattr(watcher, "_RETRY_SECONDS", 0.01)
    world = World(
        make_survey(make_need(reasons=()), watch_interval=1.0), PlanError("no answer"), PlanError("no answer")
    )

    def ask(_arguments, say, is_unwanted):
        say("PLAY [x]\nfailed")
        return World.ask(world, _arguments, say, is_unwanted)

    world.ask = ask
    run_in_background(world, lambda: world.asked > 3)
    assert world.lines.count("PLAY [x]\nfailed") == 1
    assert world.lines.count("cannot compare: no answer") == 1


@pytest.mark.parametrize(
    ("module", "package"),
    [("ansible_runner.runner", "ansible-runner"), ("prometheus_client", "prometheus_client")],
)
def test_without_its_packages_nothing_begins(make_survey, monkeypatch, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RunError, match=rf"{package} is not installed; install tierwright\[watch\]"):
        World(make_survey()).watcher()


#: A watcher of a real process: its survey is a file, and its playbook appends a line to a file, and waits.
PROGRAM = """
import sys, time
from pathlib import Path
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.records import decode
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch import work_run
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.survey import Survey, WorkKind
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.watcher import InventoryWatcher
folder = Path(sys.argv[1])
work_run.PLAYBOOKS[WorkKind.DEPLOY] = (str(folder / "play.yml"),)
watched = work_run.Watched((str(folder),), ("-i", "localhost,", "-c", "local"))
def ask(*_arguments):
    return decode((folder / "survey.json").read_text(), Survey)
watcher = InventoryWatcher(watched, lambda line: print(line, flush=True), ask=ask)
sys.exit(not watcher.once()) if sys.argv[2:] else watcher.watch()
"""
PLAY = """
- hosts: localhost
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - ansible.builtin.shell: echo began >> FOLDER/log; sleep $(cat FOLDER/seconds); echo ended >> FOLDER/log
"""


@pytest.fixture
def program(tmp_path, make_survey, make_need, monkeypatch):
    """Start a watcher as a process of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "play.yml").write_text(PLAY.replace("FOLDER", str(tmp_path)))
    (tmp_path / "survey.json").write_text(encode(make_survey(make_need())))
    (tmp_path / "seconds").write_text("60")
    (tmp_path / "log").write_text("")

    def start(*arguments):
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return start


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def playbook(state_folder):
    """The process of the newest playbook."""
    folder = max((state_folder / "+runs").iterdir())
    return json.loads((folder / "process.json").read_text())["pid"]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_after_a_kill_the_next_watcher_ends_the_playbook_and_repeats_the_work(program, tmp_path, state_folder):
    log = tmp_path / "log"
    with program() as first:
        wait_for(lambda: "began" in log.read_text())
        process = playbook(state_folder)
        first.kill()
    (tmp_path / "seconds").write_text("0")
    with program("--once") as second:
        lines, _ = second.communicate(timeout=120)
    assert not is_alive(process)
    assert "was interrupted" in lines
    assert "succeeded after" in lines
    assert log.read_text().split() == ["began", "began", "ended"]
    outcomes = [run.outcome for run in read_runs()]
    assert outcomes[-1] is RunOutcome.INTERRUPTED
    assert RunOutcome.SUCCEEDED in outcomes


def test_a_signal_interrupts_the_playbook(program, tmp_path, state_folder):
    with program() as process:
        wait_for(lambda: "began" in (tmp_path / "log").read_text())
        process.send_signal(signal.SIGTERM)
        lines, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "was interrupted after" in lines
    assert "the watcher was stopped" in lines
    assert not is_alive(playbook(state_folder))


def test_only_one_watcher_works_with_an_inventory(program, tmp_path):
    with program() as first:
        wait_for(lambda: "began" in (tmp_path / "log").read_text())
        with program("--once") as second:
            lines, _ = second.communicate(timeout=60)
        first.terminate()
        first.communicate(timeout=60)
    assert second.returncode == 1
    assert f"another watcher works with {tmp_path}" in lines
    assert f"process {first.pid}" in lines
