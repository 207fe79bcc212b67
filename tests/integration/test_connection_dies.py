"""What is said, and how soon, when something dies in the middle of a task, and what is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

from relay import Relay

from .containers import PYTHON, Target, build_container

#: Seconds within which a task whose ground is gone must end.
SOON = 5

SLEEP = "- name: Take long\n  ansible.builtin.command: sleep 300"


@pytest.fixture(scope="module")
def image(demo: dict[str, Any]) -> str:
    return str(demo["base"].id)


@pytest.fixture
def target(image: str, engine: docker.DockerClient, playbook: Callable[..., Any]) -> Iterator[Target]:
    with build_container(engine, playbook, image) as made:
        yield made


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def sleeps(target: Target) -> bool:
    return any("sleep 300" in args for args in target.processes().values())


def end_of(running: subprocess.Popen[str]) -> tuple[float, str]:
    """Seconds until ansible-playbook has ended, and what it said in one line."""
    started = time.monotonic()
    said, _ = running.communicate(timeout=60)
    return time.monotonic() - started, " ".join(said.split())


@pytest.mark.parametrize("kill", ["agent", "container", "removal"])
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


def test_the_next_task_starts_another_agent(target, tmp_path, environment):
    tasks = f"{SLEEP}\n  ignore_unreachable: true\n- name: Go on\n  ansible.builtin.command: echo went on"
    running = target.start_play(tmp_path, tasks, environment)
    wait_for(lambda: sleeps(target))
    os.kill(target.agent(), signal.SIGKILL)
    _, said = end_of(running)
    assert "changed=1" in said
    assert "unreachable=0" in said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_ansible_playbook_leaves_no_agent_behind(target, tmp_path, environment, number):
    before = set(target.processes().values())
    running = target.start_play(tmp_path, SLEEP, environment)
    wait_for(lambda: sleeps(target))
    running.send_signal(number)
    wait_for(lambda: set(target.processes().values()) == before, SOON)
    assert running.wait(timeout=60) != 0
    running.communicate()
    wait_for(lambda: keepers(target) == "", SOON)


def test_an_agent_ends_with_its_ansible_playbook(target, tmp_path):
    before = set(target.processes().values())
    target.play(tmp_path, "- name: Do little\n  ansible.builtin.command: 'true'").expect()
    wait_for(lambda: set(target.processes().values()) == before, SOON)
    wait_for(lambda: keepers(target) == "", SOON)
    inside = target.container.exec_run(["ls", "-A", "/dev/shm", "/dev/tierwright-agent"]).output.decode()
    assert inside.split() == ["/dev/shm:", "/dev/tierwright-agent:", "lock"]
    assert [change["Path"] for change in target.container.diff() or [] if "tierwright" in change["Path"]] == []


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


class SecondEngine:
    """A Docker engine of the test's own, which may be killed."""

    def __init__(self, folder: Path) -> None:
        self.address = f"unix://{folder}/docker.sock"
        self._command = [
            # A network of its own: without a bridge, an engine removes the one that is there, though it be another's.
            *(
                "unshare",
                "--net",
                "dockerd",
                "--data-root",
                f"{folder}/data",
                "--exec-root",
                f"{folder}/exec",
                "--host",
                self.address,
            ),
            *("--pidfile", f"{folder}/pid", "--bridge", "none", "--iptables=false", "--ip6tables=false"),
        ]
        self._log = folder / "log"
        self.pids: list[int] = []
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        self.client = wait_for(self._connect)

    def _connect(self) -> docker.DockerClient | None:
        try:
            client = docker.DockerClient(self.address)
            client.ping()
        except docker.errors.DockerException:
            assert self.process.poll() is None, self._log.read_text()[-2000:]
            return None
        return client

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def clear(self, folder: Path, containers: list[int]) -> None:
        """End what a killed engine leaves: its containers, what holds them, and their mounts."""
        for pid in containers:
            with contextlib.suppress(FileNotFoundError):
                shim = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
                os.kill(shim, signal.SIGKILL)
                os.kill(pid, signal.SIGKILL)
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in sorted((mount for mount in mounts if mount.startswith(str(folder))), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=True)
        self.client.close()


@pytest.fixture
def second_engine(engine: docker.DockerClient, python_image: str) -> Iterator[SecondEngine]:
    with tempfile.TemporaryDirectory(prefix="twtest-") as folder:
        second = SecondEngine(Path(folder))
        pids: list[int] = []
        try:
            second.client.images.load(engine.images.get(python_image).save())
            yield second
            pids = second.pids
        finally:
            second.kill()
            second.clear(Path(folder), pids)


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
        second_engine.pids = [target.container.attrs["State"]["Pid"]]
        second_engine.kill()
        seconds, said = end_of(running)
    relay.close()
    assert "UNREACHABLE!" in said
    assert "the engine went away in the middle of a command" in said
    assert address in said
    assert seconds < SOON
