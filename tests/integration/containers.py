"""Containers in which tests run tasks: a build container without a chain, and a plain container with Ansible inside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import site
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import launch
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import CAPABILITIES, Cage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import confinement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import PODMAN
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.interpreter import mounted_python
from sdk_client import as_engine

from .conftest import Playbook, Run

#: The Python of an image that has its own.
PYTHON = "/usr/bin/python3"

#: Runs the ansible-playbook of this environment on any Python. It sets no variable that modules would inherit.
_PLAYBOOK = """
import sys
sys.path.insert(0, sys.argv.pop(1))
sys.argv[0] = "ansible-playbook"
from ansible.cli.playbook import main
main()
"""

#: A shell, and the process that it waits for.
IDLE_PROCESSES = 2


@dataclass(frozen=True)
class Target:
    """A build container for one test."""

    name: str
    engine: docker.DockerClient
    playbook: Playbook
    #: Path of the Python that modules run with.
    python: str

    @property
    def container(self) -> Any:
        return self.engine.containers.get(self.name)

    def inventory(self, folder: Path, variables: Mapping[str, Any] | None = None) -> list[str]:
        """Arguments for an inventory with this container as its only host."""
        hostvars = {
            "ansible_connection": "tierwright.chain.tier",
            "ansible_python_interpreter": self.python,
            "tier_container": self.name,
            **(variables or {}),
        }
        path = folder / "inventory.json"
        path.write_text(json.dumps({"all": {"hosts": {self.name: hostvars}}}))
        return ["--inventory", str(path)]

    def play(self, folder: Path, tasks: str, variables: Mapping[str, Any] | None = None, **options: Any) -> Run:
        """Run tasks in the container. They are given as the YAML text of a list."""
        return self.playbook(*self._play(folder, tasks), *self.inventory(folder, variables), **options)

    def start_play(
        self, folder: Path, tasks: str, environment: Mapping[str, str], *, prefix: Sequence[str] = ()
    ) -> subprocess.Popen[str]:
        """The same, but do not wait for the end. The prefix is a program that runs it."""
        return subprocess.Popen(
            [*prefix, "ansible-playbook", *self._play(folder, tasks), *self.inventory(folder)],
            cwd=folder,
            env={**environment, "ANSIBLE_CONFIG": str(Path(__file__).parents[2] / "ansible.cfg")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def processes(self) -> dict[int, str]:
        """Command lines of all processes in the container, by process ID on this machine."""
        table = self.container.top(ps_args="-eo pid,args")
        return {int(pid): args for pid, args in table["Processes"]}

    def agent(self) -> int:
        """Process ID of the container's agent."""
        table = self.container.top(ps_args="-eo pid,ppid,args")
        parents = {int(pid): int(parent) for pid, parent, args in table["Processes"] if "tierwright_agent" in args}
        agents = [pid for pid, parent in parents.items() if parent not in parents]  # the others are its forks
        assert len(agents) == 1, table
        return self._on_this_machine(agents[0]) if as_engine(self.engine).kind == PODMAN else agents[0]

    def _on_this_machine(self, pid: int) -> int:
        """The ID of a process on this machine, from its ID in the container."""
        namespace = Path("/proc", str(self.container.attrs["State"]["Pid"]), "ns/pid").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "ns/pid").readlink() == namespace:
                    numbers = re.findall(r"^NSpid:(.*)$", (process / "status").read_text(), re.MULTILINE)[0].split()
                    if int(numbers[-1]) == pid:
                        return int(numbers[0])
        raise ProcessLookupError(pid)

    @staticmethod
    def _play(folder: Path, tasks: str) -> list[str]:
        path = folder / "play.yml"
        lines = "".join(f"    {line}\n" for line in tasks.strip().splitlines())
        path.write_text(f"- name: Test\n  hosts: all\n  gather_facts: false\n  tasks:\n{lines}")
        return [str(path)]


@contextmanager
def build_container(
    engine: docker.DockerClient, playbook: Playbook, image: str, *, python: str = "", remove: bool = True
) -> Iterator[Target]:
    """A build container, confined and mounted as in a build.

    Args:
        engine: The engine.
        playbook: Runs ansible-playbook.
        image: The image of the container.
        python: The image's own Python; empty for the mounted Python.
        remove: Whether to remove the container at the end. A killed engine cannot do it.
    """
    name = f"twtest-{secrets.token_hex(4)}"
    mounts = launch.agent_mount(engine_address(), name)
    if not python:
        mounted = mounted_python.ensure(
            as_engine(engine), tier="test", parent_image=as_engine(engine).images.get(image), run=name, say=print
        )
        assert mounted
        mounts.append(mounted.mount)
        python = mounted.python
    confined = confinement.confined(as_engine(engine).system, Cage(), family="debian", say=print, mounts=mounts)
    started = as_engine(engine).containers.start(name=name, image=image, tier="test", labels={}, confined=confined)
    target = Target(name, engine, playbook, python)
    while len(target.processes()) < IDLE_PROCESSES:
        time.sleep(0.05)
    try:
        yield target
    finally:
        launch.remove_agent_folder(engine_address(), name)
        if remove:
            as_engine(engine).containers.remove(started.id)


@contextmanager
def plain_container(engine: docker.DockerClient, image: str, folder: Path) -> Iterator[Any]:
    """A plain container with `folder` and everything that this Ansible needs, at the same paths as on this machine."""
    volumes = {folder: "rw", Path(__file__).parents[2]: "ro", Path(sys.prefix): "ro"}
    if sys.base_prefix != "/usr":
        volumes[Path(sys.base_prefix)] = "ro"
    container = engine.containers.run(
        image,
        ["sleep", "600"],
        entrypoint="",
        user="0:0",
        working_dir="/",
        hostname="test",
        detach=True,
        init=True,
        volumes={str(path): {"bind": str(path), "mode": mode} for path, mode in volumes.items()},
        tmpfs={"/dev/tierwright": "exec,mode=1777"},
        cap_drop=["ALL"],
        cap_add=list(CAPABILITIES),
        security_opt=["no-new-privileges"],
        environment={
            "DEBIAN_FRONTEND": "noninteractive",
            "PYTHONDONTWRITEBYTECODE": "1",
            "ANSIBLE_UNSAFE_WRITES": "1",
            "ANSIBLE_FORCE_COLOR": "false",
            "ANSIBLE_HOME": "/dev/shm/ansible",
        },
    )
    try:
        yield container
    finally:
        container.remove(v=True, force=True)


def run_inside(container: Any, folder: Path, *arguments: str) -> Run:
    """Run the ansible-playbook of this environment inside a plain container."""
    python = os.path.realpath(sys.executable) if sys.base_prefix != "/usr" else PYTHON
    code, output = container.exec_run(
        [python, "-c", _PLAYBOOK, *site.getsitepackages()[:1], *arguments],
        workdir=str(folder),
    )
    return Run(code, output.decode(errors="replace"))
