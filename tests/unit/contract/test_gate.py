"""The gate runs pytests of its own; these need no engine, since their tests start nothing."""

from __future__ import annotations

import os
import signal
import textwrap
import time

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract import gate, session_containers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.gate import (
    GateSubject,
    RoleTests,
    Suite,
    arguments,
    run_suite,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ContractError, NotFoundError

pytestmark = pytest.mark.once

BENCH = GateSubject("web", "sha256:1", {"db": "sha256:2"}, "20261124T093000Z-1b2c3d4e")


@pytest.fixture
def tests(tmp_path):
    """Tests of a tier's role: `tests("web", text)`."""

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
    def test_asked_of_all():
        assert "below" == "above"

    def test_of_its_own_only():
        raise RuntimeError("not here")
"""


def test_own_tests_and_contracts_of_ancestors_are_run(tests, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing")
    own, below, base = tests("web", OWN), tests("core", BELOW), tests("base", "def test_it(): assert False")
    verdict = run_suite(Suite(own, (below, base)), BENCH)
    assert not verdict.passed
    assert verdict.tests == 3
    assert verdict.seconds > 0
    bad, asked = verdict.failed
    assert bad.test == f"{own.folder}/test_it.py::test_bad"
    assert bad.owner == own
    assert bad.message.startswith("AssertionError: one is not two")
    assert asked.owner == below
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["test_it.py"] * 3


def test_no_contracts_to_run_is_no_failure(tests):
    verdict = run_suite(Suite(None, (tests("core", "def test_it(): assert False"),)), BENCH)
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
    """Tests that hang, and a file that says that they do: `hanging(how)`; the gate looks at once."""
    monkeypatch.setattr(gate, "_POLL_SECONDS", 0.05)
    started = tmp_path / "started"

    def hanging(how="pass"):
        return tests("web", HANGING.format(how=how, started=str(started))), started

    return hanging


def late(monkeypatch, started):
    """Let the time be over as soon as the tests hang."""

    class Clock:
        @staticmethod
        def monotonic():
            return time.monotonic() + 1000 * started.exists()

    monkeypatch.setattr(gate, "time", Clock)


def test_tests_that_take_too_long_are_ended_and_the_one_that_ran_is_told(hanging, monkeypatch):
    own, started = hanging()
    late(monkeypatch, started)
    began = time.monotonic()
    verdict = run_suite(Suite(own), BENCH, timeout=100)
    assert time.monotonic() - began < 30
    [hangs] = verdict.failed
    assert hangs.test == f"{own.folder}/test_it.py::test_hangs"
    assert hangs.message == "the tests took longer than 100 s (tier_test_timeout) and were ended"


def test_tests_that_do_not_let_themselves_be_ended_are_killed(hanging, monkeypatch):
    monkeypatch.setattr(gate, "_GRACE_SECONDS", 0.2)
    own, started = hanging("signal.signal(signal.SIGINT, signal.SIG_IGN)")
    late(monkeypatch, started)
    verdict = run_suite(Suite(own), BENCH, timeout=100)
    assert [each.message for each in verdict.failed] == [
        "the tests took longer than 100 s (tier_test_timeout) and were ended"
    ]


def test_tests_end_with_the_run_that_wanted_them(hanging, monkeypatch):
    own, started = hanging()
    parent = os.getppid()
    monkeypatch.setattr(gate.os, "getppid", lambda: 1 if started.exists() else parent)
    began = time.monotonic()
    with pytest.raises(ContractError, match=r"^run \S+ has ended; its tests were ended, too$"):
        run_suite(Suite(own), BENCH)
    assert time.monotonic() - began < 30


def test_tests_of_a_run_in_the_background_can_be_interrupted(hanging, monkeypatch):
    """A shell that starts a run with `&` lets it, and all its children, ignore SIGINT."""
    own, started = hanging()
    late(monkeypatch, started)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        verdict = run_suite(Suite(own), BENCH, timeout=100)
    finally:
        signal.signal(signal.SIGINT, before)
    # A pytest that is killed cannot tell which of its tests ran.
    assert [each.test for each in verdict.failed] == [f"{own.folder}/test_it.py::test_hangs"]


def test_a_pytest_that_gets_nowhere_says_why(tests, tmp_path):
    own = tests("web", "def test_it(): pass")
    (tmp_path / "web/tests/conftest.py").write_text("import nothing_of_that_name\n")
    [failure] = run_suite(Suite(own), BENCH).failed
    assert failure.owner is None
    assert "No module named 'nothing_of_that_name'" in failure.message


def test_what_is_not_installed_is_named(tests, monkeypatch):
    monkeypatch.setattr(gate, "_PACKAGES", {"json": "json", "nothing_of_that_name": "pytest-nothing"})
    with pytest.raises(ContractError, match=r"has tests, but pytest-nothing cannot be imported by .*pip install"):
        run_suite(Suite(tests("web", OWN)), BENCH)


def test_options_can_be_typed_again():
    assert arguments(BENCH) == ["--tier", "web", "--image", "sha256:1", "--neighbour", "db=sha256:2"]


def test_a_neighbour_that_failed_in_the_run_is_named_as_that(monkeypatch, make_image):
    monkeypatch.setattr(session_containers, "_image", lambda _engine, _reference: make_image("sha256:1", {}))
    lacking = GateSubject("web", "sha256:1", {}, "run", ("db",))
    assert arguments(lacking)[-2:] == ["--neighbour", "db="]
    made = session_containers.SessionContainers(None, "sha256:1", tier="web", neighbours={"db": ""})
    with pytest.raises(NotFoundError, match="with its neighbour 'db', which has no image: it failed in this run"):
        made._image_of("db")
    with pytest.raises(NotFoundError, match="tier 'web' has no neighbour 'cache'"):
        made._image_of("cache")


@pytest.mark.parametrize("written", ["", "{", '{"tests": 1'])
def test_what_a_killed_pytest_left_half_written_is_no_result(tmp_path, written):
    (tmp_path / "result.json").write_text(written)
    assert gate._read(tmp_path / "result.json") == gate._read(tmp_path / "none.json") == {"tests": 0, "failed": []}
