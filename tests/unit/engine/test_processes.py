"""Lists of processes, as engines give them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError
from requests.exceptions import JSONDecodeError

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine import processes
from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.refusal import RefusedError
from ansible_collections.tierwright.chain.plugins.plugin_utils.errors import EngineError

DOCKER = {"Titles": ["PID", "UID", "COMMAND"], "Processes": [["12", "0", "sh -c  exit"], ["13", "33", "apache2"]]}
#: Podman 4.3.1 of an image that has `ps`.
PODMAN_4 = {"Titles": ["PID   UID COMMAND"], "Processes": [["12     0 sh -c  exit"], ["13    33 apache2"]]}
ROWS = [["12", "0", "sh -c  exit"], ["13", "33", "apache2"]]


class Api:
    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self._answer = answer

    def top(self, _container: str, ps_args: str | None) -> dict[str, Any]:  # noqa: ARG002 - the SDK's name
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def rows(answer: dict[str, Any] | Exception) -> list[list[Any]]:
    return processes.rows(SimpleNamespace(api=Api(answer)), "container", "-eo pid,uid,args")


@pytest.mark.parametrize("answer", [DOCKER, PODMAN_4], ids=["Docker", "Podman 4"])
def test_each_process_is_a_row_of_columns(answer):
    assert rows(answer) == ROWS


def test_a_container_that_has_ended_has_none():
    assert rows({**DOCKER, "Processes": None}) == []


def test_an_engine_that_lists_none_says_what_to_do():
    with pytest.raises(EngineError, match="take Podman 5, or an image that has it"):
        rows(JSONDecodeError("no JSON", "", 0))
    without = APIError("500", explanation='exec: "ps": executable file not found in $PATH')
    with pytest.raises(EngineError, match=r"executable file not found.*: install procps there"):
        rows(without)
    with pytest.raises(RefusedError, match=r"is not running$"):
        rows(APIError("409", explanation="container is not running"))
