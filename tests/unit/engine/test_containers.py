"""Lists of processes, as engines give them, and as a shell in the container sees them."""

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
#: Podman 4.3.1 of an image that has `ps`.
PODMAN_4 = {"Titles": ["PID   UID COMMAND"], "Processes": [["12     0 sh -c  exit"], ["13    33 apache2"]]}
LISTED = [ProcessInfo(12, 0, "sh -c  exit"), ProcessInfo(13, 33, "apache2")]


class Api:
    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self._answer = answer

    def top(self, _container: str, ps_args: str | None) -> dict[str, Any]:  # noqa: ARG002 - the SDK's name
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def listed(answer: dict[str, Any] | Exception) -> list[ProcessInfo]:
    return containers.processes_of(SimpleNamespace(api=Api(answer)), "container")


class Here:
    """Runs commands on this machine, as if it were the container."""

    def __init__(self, _session: Any) -> None:
        pass

    def run(self, _container: str, argv: list[str], *, take: Any) -> int:
        done = subprocess.run(argv, capture_output=True, check=False)
        take(1, done.stdout)
        return done.returncode


class Gone(Here):
    def run(self, _container: str, _argv: list[str], *, take: Any) -> int:  # noqa: ARG002 - the engine room's name
        raise ContainerGoneError("it has ended")


class Hostile(Here):
    def run(self, _container: str, argv: list[str], *, take: Any) -> int:
        take(1, f"{argv[-1]}one two{argv[-1]}three".encode())
        return 0


class Bare(Here):
    def run(self, _container: str, _argv: list[str], *, take: Any) -> int:  # noqa: ARG002 - the engine room's name
        return 127


#: What engines say that list no processes: Podman 4 without `ps` in the image, Docker without its machine's `ps`, and
#: a rootless one without cgroups.
NONE = [
    JSONDecodeError("no JSON", "", 0),
    APIError("500", explanation='exec: "ps": executable file not found in $PATH'),
    APIError("500", explanation="runc did not terminate successfully: exit status 1: : unknown"),
]


@pytest.mark.parametrize("answer", [DOCKER, PODMAN_4], ids=["Docker", "Podman 4"])
def test_each_process_is_told_by_the_engine(answer):
    assert listed(answer) == LISTED


def test_a_container_that_has_ended_has_none():
    assert listed({**DOCKER, "Processes": None}) == []


@pytest.mark.parametrize("answer", NONE)
def test_a_shell_is_asked_where_the_engine_lists_none(answer, monkeypatch):
    monkeypatch.setattr(containers, "Exec", Here)
    words = [sys.executable, "-c", "input()", "two words", "", "a\nline"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as child:
        found = {each.pid: each for each in listed(answer)}
        child.communicate(b"\n")
    assert found[child.pid] == ProcessInfo(child.pid, os.geteuid(), " ".join(words))
    assert not any("/proc/[0-9]" in each.command for each in found.values()), "its own shell is not told"


@pytest.mark.parametrize("answer", NONE)
@pytest.mark.parametrize("inside", [Gone, Bare, Hostile])
def test_an_engine_that_lists_none_is_told_where_no_shell_answers(answer, inside, monkeypatch):
    monkeypatch.setattr(containers, "Exec", inside)
    with pytest.raises(RefusedError, match="listing the processes of container container: the engine "):
        listed(answer)


@pytest.mark.parametrize(
    "answer",
    [
        {"Titles": ["PID"]},
        {**DOCKER, "Processes": [["twelve", "0", "sh"]]},
        {**DOCKER, "Processes": [["12"]]},
        {**PODMAN_4, "Processes": [["12"]]},
    ],
)
def test_what_is_no_list_of_processes_is_told(answer):
    with pytest.raises(EngineError, match="cannot be understood"):
        listed(answer)
