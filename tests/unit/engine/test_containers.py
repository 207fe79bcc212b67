"""Lists of processes, from the engine or from a shell in the container."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError
from requests.exceptions import JSONDecodeError

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import containers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.api_errors import RefusedError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.containers import ProcessInfo
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ContainerGoneError, EngineError

DOCKER = {"Titles": ["PID", "UID", "COMMAND"], "Processes": [["12", "0", "sh -c  exit"], ["13", "33", "apache2"]]}
#: The answer of Podman 4.3.1 for an image with `ps`.
PODMAN_4 = {"Titles": ["PID   UID COMMAND"], "Processes": [["12     0 sh -c  exit"], ["13    33 apache2"]]}
PROCESSES = [ProcessInfo(12, 0, "sh -c  exit"), ProcessInfo(13, 33, "apache2")]


class Api:
    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self._answer = answer

    def top(self, _container: str, ps_args: str | None) -> dict[str, Any]:  # noqa: ARG002 - the SDK's name
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def list_processes(answer: dict[str, Any] | Exception) -> list[ProcessInfo]:
    return containers.processes_of(SimpleNamespace(api=Api(answer)), "container")


class Local:
    """Runs commands on this machine instead of in the container."""

    #: Process ID of the last command. Tests that run beside this one have shells with the same command line.
    pid = 0

    def __init__(self, _session: Any) -> None:
        pass

    def run(self, _container: str, argv: list[str], *, take: Any) -> int:
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
            Local.pid = process.pid
            take(1, process.communicate()[0])
        return process.returncode


class Gone(Local):
    def run(self, _container: str, _argv: list[str], *, take: Any) -> int:  # noqa: ARG002 - the library's name
        raise ContainerGoneError("it has ended")


class Hostile(Local):
    def run(self, _container: str, argv: list[str], *, take: Any) -> int:
        take(1, f"{argv[-1]}one two{argv[-1]}three".encode())
        return 0


class Bare(Local):
    def run(self, _container: str, _argv: list[str], *, take: Any) -> int:  # noqa: ARG002 - the library's name
        return 127


#: The answers of engines that cannot list processes: Podman 4 without `ps` in the image, Docker without `ps` on its
#: machine, and rootless Docker without cgroups.
NO_LIST = [
    JSONDecodeError("no JSON", "", 0),
    APIError("500", explanation='exec: "ps": executable file not found in $PATH'),
    APIError("500", explanation="runc did not terminate successfully: exit status 1: : unknown"),
]


@pytest.mark.parametrize("answer", [DOCKER, PODMAN_4], ids=["Docker", "Podman 4"])
def test_the_engine_lists_the_processes(answer):
    assert list_processes(answer) == PROCESSES


def test_a_container_that_has_ended_has_no_processes():
    assert list_processes({**DOCKER, "Processes": None}) == []


@pytest.mark.parametrize("answer", NO_LIST)
def test_a_shell_lists_the_processes_if_the_engine_cannot(answer, monkeypatch):
    monkeypatch.setattr(containers, "Exec", Local)
    words = [sys.executable, "-c", "input()", "two words", "", "a\nline"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as child:
        processes = {process.pid: process for process in list_processes(answer)}
        child.communicate(b"\n")
    assert processes[child.pid] == ProcessInfo(child.pid, os.geteuid(), " ".join(words))
    assert Local.pid not in processes, "the list contains its own shell"


@pytest.mark.parametrize("answer", NO_LIST)
@pytest.mark.parametrize("inside", [Gone, Bare, Hostile])
def test_an_engine_that_cannot_list_processes_is_reported_without_a_shell(answer, inside, monkeypatch):
    monkeypatch.setattr(containers, "Exec", inside)
    with pytest.raises(RefusedError, match="listing the processes of container container: the engine "):
        list_processes(answer)


@pytest.mark.parametrize(
    "answer",
    [
        {"Titles": ["PID"]},
        {**DOCKER, "Processes": [["twelve", "0", "sh"]]},
        {**DOCKER, "Processes": [["12"]]},
        {**PODMAN_4, "Processes": [["12"]]},
    ],
)
def test_an_invalid_list_of_processes_is_reported(answer):
    with pytest.raises(EngineError, match="cannot be understood"):
        list_processes(answer)
