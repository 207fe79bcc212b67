"""What is said, and how soon, when something dies in the middle of a task, and what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from relay import Relay

from .containers import PYTHON, Target, build_container
from .engines import SecondEngine, wait_for

#: Seconds within which a task whose ground is gone must end.
SOON = 5

SLEEP = "- name: Take long\n  ansible.builtin.command: sleep 300"


@pytest.fixture(scope="module")
def image(demo_base: Any) -> str:
    return str(demo_base.id)


@pytest.fixture
def target(image: str, engine: docker.DockerClient, playbook: Callable[..., Any]) -> Iterator[Target]:
    with build_container(engine, playbook, image) as made:
        yield made


def sleeps(target: Target) -> bool:
    return any("sleep 300" in args for args in target.processes().values())


def end_of(running: subprocess.Popen[str]) -> tuple[float, str]:
    """Seconds until ansible-playbook has ended, and what it said in one line."""
    started = time.monotonic()
    said, _ = running.communicate(timeout=60)
    return time.monotonic() - started, " ".join(said.split())


#: What no part of ansible-core sees differently once it has been told the first way.
ONCE = pytest.mark.once


@pytest.mark.parametrize("kill", ["agent", pytest.param("container", marks=ONCE), pytest.param("removal", marks=ONCE)])
def test_it_is_said_what_died(target, tmp_path, environment, kill):
    running = target.start_play(tmp_path, SLEEP, environment)
    wait_for(lambda: sleeps(target))
    if kill == "agent":
        os.kill(target.agent(), signal.SIGKILL)
        expected = f"the agent in build container {target.name} ended in the middle of a command"
    elif kill == "container":
        target.container.kill()
        expected = f"build container {target.name} is exited (exit status 137)"
    else:
        target.container.remove(force=True)
        expected = f"build container {target.name} "  # its removal may not be over yet
    seconds, said = end_of(running)
    assert "UNREACHABLE!" in said
    assert expected in said
    assert seconds < SOON
    assert running.returncode == 4


@pytest.mark.once
def test_the_next_task_starts_another_agent(target, tmp_path, environment):
    tasks = f"{SLEEP}\n  ignore_unreachable: true\n- name: Go on\n  ansible.builtin.command: echo went on"
    running = target.start_play(tmp_path, tasks, environment)
    wait_for(lambda: sleeps(target))
    os.kill(target.agent(), signal.SIGKILL)
    _, said = end_of(running)
    assert "changed=1" in said
    assert "unreachable=0" in said


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=ONCE), pytest.param(signal.SIGINT, marks=ONCE)]
)
def test_a_killed_ansible_playbook_leaves_no_agent_behind(target, tmp_path, environment, number):
    before = set(target.processes().values())
    running = target.start_play(tmp_path, SLEEP, environment)
    wait_for(lambda: sleeps(target))
    running.send_signal(number)
    wait_for(lambda: set(target.processes().values()) == before, SOON)
    assert running.wait(timeout=60) != 0
    running.communicate()
    wait_for(lambda: keepers(target) == "", SOON)


@pytest.mark.once
def test_an_agent_ends_with_its_ansible_playbook(target, tmp_path):
    before = set(target.processes().values())
    target.play(tmp_path, "- name: Do little\n  ansible.builtin.command: 'true'").expect()
    wait_for(lambda: set(target.processes().values()) == before, SOON)
    wait_for(lambda: keepers(target) == "", SOON)
    inside = target.container.exec_run(["ls", "-A", "/dev/shm", "/dev/tierwright-agent"]).output.decode()
    assert inside.split() == ["/dev/shm:", "/dev/tierwright-agent:"]
    assert [change["Path"] for change in target.container.diff() or [] if "tierwright" in change["Path"]] == []


@pytest.mark.once
def test_what_runs_in_the_background_goes_on_and_what_is_interrupted_does_not(target, tmp_path):
    tasks = """
- name: Leave something
  ansible.builtin.shell: nohup sleep 301 >/dev/null 2>&1 &
- name: Take too long
  ansible.builtin.shell: "sleep 300; sleep 302"
  timeout: 1
  ignore_errors: true
"""
    target.play(tmp_path, tasks).expect()
    wait_for(lambda: not sleeps(target), SOON)
    running = " ".join(target.processes().values())
    assert "sleep 301" in running
    assert "sleep 302" not in running


def keepers(target: Target) -> str:
    """Processes on this machine that hold an agent of the container."""
    return subprocess.run(
        ["pgrep", "-f", f"agent.keeper {target.name}"], stdout=subprocess.PIPE, text=True, check=False
    ).stdout


@pytest.fixture
def second_engine(engine: docker.DockerClient, python_image: str) -> Iterator[SecondEngine]:
    with tempfile.TemporaryDirectory(prefix="twtest-") as folder:
        second = SecondEngine(Path(folder))
        try:
            second.client.images.load(engine.images.get(python_image).save())
            yield second
        finally:
            second.clear()


@pytest.mark.once
@pytest.mark.parametrize("reached", ["through its socket", "over the network"])
def test_an_engine_that_is_killed_is_said_to_have_gone(
    second_engine, python_image, playbook, tmp_path, environment, monkeypatch, reached
):
    relay = Relay(second_engine.address.removeprefix("unix://"))
    relay.start()
    address = second_engine.address if reached == "through its socket" else relay.address
    monkeypatch.setenv("DOCKER_HOST", address)
    with build_container(second_engine.client, playbook, python_image, python=PYTHON, remove=False) as target:
        running = target.start_play(tmp_path, SLEEP, {**environment, "DOCKER_HOST": address})
        wait_for(lambda: sleeps(target))
        second_engine.kill()
        seconds, said = end_of(running)
    relay.close()
    assert "UNREACHABLE!" in said
    assert "the engine stopped answering in the middle of a command" in said
    assert address in said
    assert seconds < SOON
