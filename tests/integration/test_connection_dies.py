"""Something dies in the middle of a task: which message appears, how soon, and what is left behind."""

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

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import launch
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address
from relay import Relay

from .containers import PYTHON, Target, build_container
from .engines import SecondEngine, wait_for

#: Seconds within which a task must end after its agent, container or engine is gone.
SOON = 5

SLEEP = "- name: Take long\n  ansible.builtin.command: sleep 300"


@pytest.fixture(scope="module")
def image(demo_base: Any) -> str:
    return str(demo_base.id)


@pytest.fixture
def target(image: str, engine: docker.DockerClient, playbook: Callable[..., Any]) -> Iterator[Target]:
    with build_container(engine, playbook, image) as container:
        yield container


def is_sleeping(target: Target) -> bool:
    return any("sleep 300" in args for args in target.processes().values())


def wait_for_end(running: subprocess.Popen[str]) -> tuple[float, str]:
    """Seconds until ansible-playbook has ended, and its output in one line."""
    started = time.monotonic()
    output, _ = running.communicate(timeout=60)
    return time.monotonic() - started, " ".join(output.split())


#: For cases that look like the first case to ansible-core.
ONCE = pytest.mark.once


@pytest.mark.parametrize("kill", ["agent", pytest.param("container", marks=ONCE), pytest.param("removal", marks=ONCE)])
def test_the_message_names_what_died(target, tmp_path, environment, kill):
    running = target.start_play(tmp_path, SLEEP, environment)
    wait_for(lambda: is_sleeping(target))
    if kill == "agent":
        os.kill(target.agent(), signal.SIGKILL)
        expected = f"the agent in build container {target.name} ended in the middle of a command"
    elif kill == "container":
        target.container.kill()
        expected = f"build container {target.name} is exited (exit status 137)"
    else:
        target.container.remove(force=True)
        expected = f"build container {target.name} "  # its removal may not have finished
    seconds, output = wait_for_end(running)
    assert "UNREACHABLE!" in output
    assert expected in output
    assert seconds < SOON
    assert running.returncode == 4


@pytest.mark.once
def test_the_next_task_starts_a_new_agent(target, tmp_path, environment):
    tasks = f"{SLEEP}\n  ignore_unreachable: true\n- name: Go on\n  ansible.builtin.command: echo went on"
    running = target.start_play(tmp_path, tasks, environment)
    wait_for(lambda: is_sleeping(target))
    os.kill(target.agent(), signal.SIGKILL)
    _, output = wait_for_end(running)
    assert "changed=1" in output
    assert "unreachable=0" in output


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=ONCE), pytest.param(signal.SIGINT, marks=ONCE)]
)
def test_a_killed_ansible_playbook_leaves_no_agent(target, tmp_path, environment, number):
    before = set(target.processes().values())
    running = target.start_play(tmp_path, SLEEP, environment)
    wait_for(lambda: is_sleeping(target))
    running.send_signal(number)
    wait_for(lambda: set(target.processes().values()) == before, SOON)
    assert running.wait(timeout=60) != 0
    running.communicate()
    wait_for(lambda: keepers(target) == "", SOON)


@pytest.mark.once
def test_the_agent_ends_with_ansible_playbook(target, tmp_path):
    before = set(target.processes().values())
    target.play(tmp_path, "- name: Do little\n  ansible.builtin.command: 'true'").expect()
    wait_for(lambda: set(target.processes().values()) == before, SOON)
    wait_for(lambda: keepers(target) == "", SOON)
    inside = target.container.exec_run(["ls", "-A", "/dev/shm", "/dev/tierwright-agent"]).output.decode()
    assert inside.split() == ["/dev/shm:", "/dev/tierwright-agent:"]
    assert [change["Path"] for change in target.container.diff() or [] if "tierwright" in change["Path"]] == []


@pytest.mark.once
def test_an_agent_that_starts_with_its_container_serves_the_first_task(target):
    notes: list[str] = []
    with launch.agent_ahead(engine_address(), target.name, target.python):
        pass  # the container runs already
    launch.attach(engine_address(), target.name, target.python, notes.append).close()
    assert notes == [], "the task had to start an agent"
    assert len(keepers(target).split()) == 1
    assert target.agent()


@pytest.mark.once
def test_background_processes_continue_and_interrupted_commands_end(target, tmp_path):
    tasks = """
- name: Leave something
  ansible.builtin.shell: nohup sleep 301 >/dev/null 2>&1 &
- name: Take too long
  ansible.builtin.shell: "sleep 300; sleep 302"
  timeout: 1
  ignore_errors: true
"""
    target.play(tmp_path, tasks).expect()
    wait_for(lambda: not is_sleeping(target), SOON)
    running = " ".join(target.processes().values())
    assert "sleep 301" in running
    assert "sleep 302" not in running


def keepers(target: Target) -> str:
    """Process IDs of the keepers on this machine that belong to the container."""
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
@pytest.mark.sampled
@pytest.mark.parametrize("transport", ["through its socket", "over the network"])
def test_a_killed_engine_is_reported(
    second_engine, python_image, playbook, tmp_path, environment, monkeypatch, transport
):
    relay = Relay(second_engine.address.removeprefix("unix://"))
    relay.start()
    address = second_engine.address if transport == "through its socket" else relay.address
    monkeypatch.setenv("DOCKER_HOST", address)
    with build_container(second_engine.client, playbook, python_image, python=PYTHON, remove=False) as target:
        running = target.start_play(tmp_path, SLEEP, {**environment, "DOCKER_HOST": address})
        wait_for(lambda: is_sleeping(target))
        second_engine.kill()
        seconds, output = wait_for_end(running)
    relay.close()
    assert "UNREACHABLE!" in output
    assert "the engine stopped answering in the middle of a command" in output
    assert address in output
    assert seconds < SOON
