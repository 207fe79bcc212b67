"""A container is looked at, although its process may end at the same moment."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.api_errors import StatusError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.container_info import inspect_container
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import read_container
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError

ENDING = "read /proc/77749/cgroup: no such process"


def session(*answers):
    """A session whose engine gives these answers; texts are errors."""
    waiting = list(answers)

    def inspect(_path):
        answer = waiting.pop(0)
        if isinstance(answer, str):
            raise StatusError(500, answer.encode())
        return answer

    return SimpleNamespace(get=inspect), waiting


def test_a_process_that_has_just_ended_is_no_error():
    engine, _waiting = session(ENDING, {"Id": "c"})
    assert inspect_container(engine, "c") == {"Id": "c"}


@pytest.mark.parametrize(("answers", "left"), [((ENDING, ENDING, ENDING, {}), 1), (("disk full", {}), 1)])
def test_other_errors_are_errors_at_once(answers, left):
    engine, waiting = session(*answers)
    with pytest.raises(EngineError, match=f"looking at container c: the engine says: {answers[0]}"):
        inspect_container(engine, "c")
    assert len(waiting) == left


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"Running": True, "Status": "running", "ExitCode": 0}, (True, None, "")),
        ({"Running": False, "Status": "exited", "ExitCode": 137}, (False, 137, "")),
        (
            {"Running": False, "Status": "created", "ExitCode": 127, "Error": "no such file"},
            (False, None, "no such file"),
        ),
        ({"Running": False, "Status": "configured"}, (False, None, "")),
    ],
)
def test_the_exit_status_of_a_container_that_never_ran_is_unknown(state, expected):
    found = read_container({"Id": "c", "State": state, "Config": {}}, "sha256:a")
    assert (found.running, found.exit_status, found.error) == expected
