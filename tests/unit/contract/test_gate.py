"""The gate with real pytest processes; they need no engine, because their tests start no containers."""

from __future__ import annotations

import os
import signal
import textwrap
import time

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import parent_process
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract import gate, session_containers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.gate import (
    GateSubject,
    arguments,
    run_suite,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.result_file import read_result
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.role_tests import RoleTests, Suite
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.session_result import SessionResult
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ContractError, NotFoundError

pytestmark = pytest.mark.once

SUBJECT = GateSubject("web", "sha256:1", {"db": "sha256:2"}, "20261124T093000Z-1b2c3d4e")


@pytest.fixture
def tests(tmp_path):
    """A function that writes the tests of a tier's role: `tests("web", text)`."""

    def tests(tier, text):
        folder = tmp_path / tier / "tests"
        folder.mkdir(parents=True)
        (folder / "test_it.py").write_text(textwrap.dedent(text))
        return RoleTests(tier, f"team of {tier}", str(folder))

    return tests


OWN = """
    import os, sys

    def test_good(request):
        option = request.config.option
        assert (option.tier, option.image, option.neighbour) == ("web", "sha256:1", ["db=sha256:2"])
        assert "PYTEST_ADDOPTS" not in os.environ

    def test_bad():
        assert 1 == 2, "one is not two"
"""

BELOW = """
    import pytest

    @pytest.mark.contract
    def test_for_all_descendants():
        assert "below" == "above"

    def test_for_this_tier():
        raise RuntimeError("not here")
"""


def test_own_tests_and_contracts_of_ancestors_are_run(tests, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing")
    own, below, base = tests("web", OWN), tests("core", BELOW), tests("base", "def test_it(): assert False")
    verdict = run_suite(Suite(own, (below, base)), SUBJECT)
    assert not verdict.passed
    assert verdict.tests == 3
    assert verdict.seconds > 0
    bad, contract = verdict.failed
    assert bad.test == f"{own.folder}/test_it.py::test_bad"
    assert bad.owner == own
    assert bad.message.startswith("AssertionError: one is not two")
    assert contract.owner == below
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["test_it.py"] * 3


@pytest.mark.parametrize(("which", "status"), [("good", 0), ("bad", 1)])
def test_tests_of_all_roles_of_a_tier_run_for_somebody_who_watches(tests, which, status):
    own, more = tests("web", "def test_it(): pass"), tests("more", f"def test_it(): assert 'good' == {which!r}")
    assert gate.run_in_foreground(Suite(own, (), (more,)), SUBJECT, ["-q"], print) == status


def test_a_suite_without_contracts_passes(tests):
    verdict = run_suite(Suite(None, (tests("core", "def test_it(): assert False"),)), SUBJECT)
    assert verdict.passed
    assert verdict.tests == 0


HANGING = """
    import signal, time
    from pathlib import Path

    def test_good(): pass

    def test_hangs():
        {how}
        Path({started!r}).touch()
        time.sleep(60)
"""


@pytest.fixture
def hanging(tests, tmp_path, monkeypatch):
    """A function that writes tests that hang, and returns a file that exists once they do: `hanging(how)`."""
    monkeypatch.setattr(gate, "_POLL_SECONDS", 0.05)
    started = tmp_path / "started"

    def hanging(how="pass"):
        return tests("web", HANGING.format(how=how, started=str(started))), started

    return hanging


def expire_when_hanging(monkeypatch, started):
    """Let the time limit expire as soon as the tests hang."""

    class Clock:
        @staticmethod
        def monotonic():
            return time.monotonic() + 1000 * started.exists()

    monkeypatch.setattr(gate, "time", Clock)


def test_tests_that_take_too_long_are_ended_and_the_running_test_is_named(hanging, monkeypatch):
    own, started = hanging()
    expire_when_hanging(monkeypatch, started)
    start = time.monotonic()
    verdict = run_suite(Suite(own), SUBJECT, timeout=100)
    assert time.monotonic() - start < 30
    [failure] = verdict.failed
    assert failure.test == f"{own.folder}/test_it.py::test_hangs"
    assert failure.message == "the tests took longer than 100 s (tier_test_timeout) and were ended"


def test_tests_that_ignore_the_interrupt_are_killed(hanging, monkeypatch):
    monkeypatch.setattr(gate, "_GRACE_SECONDS", 0.2)
    own, started = hanging("signal.signal(signal.SIGINT, signal.SIG_IGN)")
    expire_when_hanging(monkeypatch, started)
    verdict = run_suite(Suite(own), SUBJECT, timeout=100)
    assert [failure.message for failure in verdict.failed] == [
        "the tests took longer than 100 s (tier_test_timeout) and were ended"
    ]


def test_tests_end_with_their_run(hanging, monkeypatch):
    own, started = hanging()
    parent = os.getppid()
    monkeypatch.setattr(parent_process.os, "getppid", lambda: 1 if started.exists() else parent)
    start = time.monotonic()
    with pytest.raises(ContractError, match=r"^run \S+ has ended; its tests were ended, too$"):
        run_suite(Suite(own), SUBJECT)
    assert time.monotonic() - start < 30


def test_tests_of_a_run_in_the_background_can_be_interrupted(hanging, monkeypatch):
    """A shell that starts a run with `&` makes it and all its children ignore SIGINT."""
    own, started = hanging()
    expire_when_hanging(monkeypatch, started)
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        verdict = run_suite(Suite(own), SUBJECT, timeout=100)
    finally:
        signal.signal(signal.SIGINT, handler)
    # A pytest that is killed cannot report which of its tests ran.
    assert [failure.test for failure in verdict.failed] == [f"{own.folder}/test_it.py::test_hangs"]


def test_a_pytest_that_cannot_start_reports_the_reason(tests, tmp_path):
    own = tests("web", "def test_it(): pass")
    (tmp_path / "web/tests/conftest.py").write_text("import nothing_of_that_name\n")
    [failure] = run_suite(Suite(own), SUBJECT).failed
    assert failure.owner is None
    assert "No module named 'nothing_of_that_name'" in failure.message


def test_a_missing_package_is_named(tests, monkeypatch):
    monkeypatch.setattr(gate, "_PACKAGES", {"json": "json", "nothing_of_that_name": "pytest-nothing"})
    with pytest.raises(ContractError, match=r"has tests, but pytest-nothing cannot be imported by .*pip install"):
        run_suite(Suite(tests("web", OWN)), SUBJECT)


def test_the_arguments_are_options_of_pytest():
    assert arguments(SUBJECT) == ["--tier", "web", "--image", "sha256:1", "--neighbour", "db=sha256:2"]


def test_a_neighbour_that_failed_in_the_run_is_reported(monkeypatch, make_image):
    monkeypatch.setattr(session_containers, "_image", lambda _engine, _reference: make_image("sha256:1", {}))
    subject = GateSubject("web", "sha256:1", {}, "run", ("db",))
    assert arguments(subject)[-2:] == ["--neighbour", "db="]
    containers = session_containers.SessionContainers(None, "sha256:1", tier="web", neighbours={"db": ""})
    with pytest.raises(NotFoundError, match="with its neighbour 'db', which has no image: it failed in this run"):
        containers._image_of("db")
    with pytest.raises(NotFoundError, match="tier 'web' has no neighbour 'cache'"):
        containers._image_of("cache")


@pytest.mark.parametrize("text", ["", "{", '{"tests": 1', '{"tests": "1"}', "[]"])
def test_a_result_that_is_incomplete_is_ignored(tmp_path, text):
    (tmp_path / "result.json").write_text(text)
    assert read_result(tmp_path / "result.json") == read_result(tmp_path / "none.json") == SessionResult()
