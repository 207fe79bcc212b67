"""Lists of processes, as engines give them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine import processes
from ansible_collections.tierwright.chain.plugins.plugin_utils.errors import EngineError

DOCKER = {"Titles": ["PID", "UID", "COMMAND"], "Processes": [["12", "0", "sh -c  exit"], ["13", "33", "apache2"]]}
#: Podman 4.3.1 of an image that has `ps`.
PODMAN_4 = {"Titles": ["PID   UID COMMAND"], "Processes": [["12     0 sh -c  exit"], ["13    33 apache2"]]}
ROWS = [["12", "0", "sh -c  exit"], ["13", "33", "apache2"]]


class Api:
    def __init__(self, answer: dict[str, Any] | None) -> None:
        self._answer = answer

    def top(self, _container: str, ps_args: str | None) -> dict[str, Any]:  # noqa: ARG002 - the SDK's name
        if self._answer is None:
            raise ValueError("no JSON")
        return self._answer


def rows(answer: dict[str, Any] | None) -> list[list[Any]]:
    return processes.rows(SimpleNamespace(api=Api(answer)), "container", "-eo pid,uid,args")


@pytest.mark.parametrize("answer", [DOCKER, PODMAN_4], ids=["Docker", "Podman 4"])
def test_each_process_is_a_row_of_columns(answer):
    assert rows(answer) == ROWS


def test_a_container_that_has_ended_has_none():
    assert rows({**DOCKER, "Processes": None}) == []


def test_an_engine_that_lists_none_says_what_to_do():
    with pytest.raises(EngineError, match="take Podman 5, or an image that has it"):
        rows(None)
