"""A build and a gate note what they did; a full disk ends none of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.file_digests import digest_tree
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Pull
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.gate import (
    FailedTest,
    GateSubject,
    Verdict,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.role_tests import RoleTests, Suite
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.build_facts import noted_facts
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.gate_facts import (
    GateFacts,
    NotedFailure,
    SuiteFolder,
    noted_gate,
    noted_rejection,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import Planned
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.build_notes import (
    describe_suite,
    note_base,
    note_tests,
    portable_name,
)

pytestmark = pytest.mark.once

CONFIG, PARENT = f"sha256:{'c0' * 32}", f"sha256:{'b0' * 32}"
LAYERS = (f"sha256:{'1a' * 32}", f"sha256:{'1b' * 32}")


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def suite(tmp_path):
    def tests(role, origin=None):
        folder = tmp_path / "elsewhere/roles" / role / "tests"
        folder.mkdir(parents=True)
        (folder / "test_it.py").write_text("")
        return RoleTests(role, f"team of {role}", str(folder), origin)

    return Suite(tests("web"), (tests("core"), tests("base", "registry.example.org/base@sha256:1")))


def test_a_bootstrapped_base_has_a_layer_of_its_own_and_a_pulled_one_has_not(make_tier, make_image):
    image = make_image(CONFIG, {}, *LAYERS)
    for source, layer in ((make_tier("base").source, LAYERS[-1]), (Pull("x@sha256:1"), None)):
        tier = msgspec.structs.replace(make_tier("base"), source=source)
        planned = Planned("shop", tier, Action.BUILD, None, {"team": "x"}, None)
        note_base(planned, "run", image, image, 1.0, say=pytest.fail)
        facts = noted_facts(LocalRecords(), CONFIG)
        assert (facts.layer, facts.parts, facts.parent) == (layer, {"team": "x"}, None)


def test_a_build_goes_on_if_facts_cannot_be_stored(make_tier, make_image, state):
    state.write_text("a file in place of a folder")
    lines = []
    planned = Planned("shop", make_tier("base"), Action.BUILD, None, {}, None)
    image = make_image(CONFIG, {}, *LAYERS)
    note_base(planned, "run", image, image, 1.0, say=lines.append)
    [line] = lines
    assert line.startswith("base: what is known about its build cannot be stored, so its image cannot be signed: ")


def test_a_gate_notes_every_test_once(suite, tmp_path):
    own, core = (Path(tests.folder) / "test_it.py" for tests in suite.all[:2])
    verdict = Verdict(
        tests=3,
        seconds=1,
        failed=(),
        ran=((f"{own}::test_a", 0.1), (f"{core}::test_c", 0.1), ("registry.example.org/base@sha256:1:t.py::test_x", 1)),
        skipped=(f"{own}::test_b", f"{own}::test_a"),
    )
    subject = GateSubject("web", CONFIG, {"db": PARENT}, "run", lacking=("cache",))
    folders = describe_suite(suite)
    note_tests(subject, suite, folders, verdict, pytest.fail)
    facts = noted_gate(LocalRecords(), CONFIG)
    assert facts.passed == (
        "roles/web/tests/test_it.py::test_a",
        "roles/core/tests/test_it.py::test_c",
        "registry.example.org/base@sha256:1:t.py::test_x",
    )
    assert facts.skipped == ("roles/web/tests/test_it.py::test_b",)
    assert (facts.failed, facts.neighbours, facts.tier, facts.run) == ((), {"db": PARENT}, "web", "run")
    digest = digest_tree(tmp_path / "elsewhere/roles/web/tests")
    assert facts.folders == (
        SuiteFolder("web", "team of web", "own", digest, contracts=False, folder="roles/web/tests"),
        SuiteFolder("core", "team of core", "contract", digest, contracts=False, folder="roles/core/tests"),
        SuiteFolder("base", "team of base", "contract", digest, "registry.example.org/base@sha256:1", contracts=False),
    )


def test_a_test_that_passed_and_whose_fixture_failed_has_failed(suite):
    name = f"{suite.own.folder}/test_it.py::test_a"
    verdict = Verdict(1, 1, (FailedTest(name, suite.own, "x", ""),), ((name, 0.1),))
    note_tests(GateSubject("web", CONFIG, {}, "run"), suite, describe_suite(suite), verdict, pytest.fail)
    assert noted_gate(LocalRecords(), CONFIG) is None
    rejected = LocalRecords().noted(CONFIG, "rejected", GateFacts)
    assert (rejected.passed, rejected.failed) == ((), ("roles/web/tests/test_it.py::test_a",))
    assert noted_rejection(LocalRecords(), CONFIG) == rejected


def test_the_beginnings_of_the_first_failures_are_noted(suite):
    name = f"{suite.own.folder}/test_it.py::test_"
    failed = tuple(FailedTest(f"{name}{number}", suite.own, "x" * 5000, "log") for number in range(500))
    verdict = Verdict(501, 1, failed, ((f"{name}good", 0.126),))
    note_tests(GateSubject("web", CONFIG, {}, "run"), suite, describe_suite(suite), verdict, pytest.fail)
    rejected = noted_rejection(LocalRecords(), CONFIG)
    assert len(rejected.failed) == 500
    assert len(rejected.failures) == 100
    assert rejected.failures[0] == NotedFailure("roles/web/tests/test_it.py::test_0", "x" * 2000)
    assert rejected.seconds == {"roles/web/tests/test_it.py::test_good": 0.13}


@pytest.mark.parametrize("name", ["", "x::y", "registry/x@sha256:1:test.py::test_a", "/elsewhere/test_it.py::test"])
def test_names_outside_of_the_suite_stay_as_they_are(suite, name):
    assert portable_name(suite, name) == name
