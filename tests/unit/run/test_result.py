"""The result of a run, as text for people and as files for programs."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.gate import RoleTests, Suite
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run import result, summary
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.junit_document import junit
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import write_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.tier_records import (
    GateRecord,
    PassedTest,
    RejectedTest,
    write_tested,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.failure import (
    TaskFailure,
    give_up,
    note_failed_task,
    note_failure,
)
from fake_engine import FakeEngine

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/schemas/tier_result_file.json").read_text())
PARENTS = {"base": None, "core": "base", "web": "core", "db": "core", "app": "web"}


@pytest.fixture
def run(monkeypatch, tmp_path, make_tier):
    """A run in which the tests of `web` fail, the role of `db` fails, and `app` is not reached."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    journal = Journal.begin("demo")
    for name, parent in PARENTS.items():
        action = Action.KEEP if name == "base" else Action.BUILD
        image = "sha256:base" if name == "base" else None
        write_plan(journal, "demo", Decision(make_tier(name, parent), action, ("why",), image, {}), None)
    journal.passed("core", "sha256:core")
    ran = (PassedTest("t.py::one", 0.5),)
    write_tested(journal, "core", GateRecord("sha256:core", passed=True, seconds=1, tests=1, ran=ran))
    failed = (RejectedTest("t.py::two", "ops", "web", "no\x0c", "web:\nlog"),)
    write_tested(journal, "web", GateRecord("sha256:web", passed=False, seconds=1, tests=1, failed=failed))
    journal.failed("web", "tier 'web' is rejected: 1 of 1 tests fail, " + "x" * 500)
    note_failure(journal, "web", ["tier 'web' is rejected: 1 of 1 tests fail", "all of it"])
    give_up(journal, "db", TaskFailure("Break", "db/tasks/main.yml:3", ["no", "more"]))
    journal.failed("app", "tier 'app' is not built: its parent 'web' failed")
    return journal


@pytest.fixture
def engine():
    fake = FakeEngine()
    for name, reference in {
        "base": "base:latest",
        "core": "core:key-1111111111111111",
        "web": "web:failed-1111111111111111",
    }.items():
        fake.add(f"sha256:{name}", {labels.TIER: name}, reference, layers=("l",), size=20_000)
    return fake


def test_the_table_is_narrow_and_names_the_failed_image(run, engine):
    lines = list(summary.summary(engine, run, everything=True))
    rows = {line.split()[0]: line for line in lines[2:]}
    assert max(map(len, lines)) < 140
    assert "web:failed-1111111111111111" in rows["web"]
    assert "1 test passed" in rows["core"]
    assert "20 kB" in rows["core"]
    assert "task 'Break': no" in rows["db"]
    assert "more" not in rows["db"]


def test_each_failure_is_printed_once_and_completely_at_the_end(run):
    lines = list(summary.failures(run, "ansible-playbook build-chain.yml"))
    assert (
        lines
        == [
            "",
            "FAILED web",
            "  tier 'web' is rejected: 1 of 1 tests fail",
            "  all of it",
            "",
            "FAILED db",
            "  task 'Break' (db/tasks/main.yml:3)",
            "    no",
            "    more",
            "",
            "after you have solved this, continue with:",
            "  ansible-playbook build-chain.yml",
        ]
        or lines[1] == "FAILED db"
    )


def test_the_result_is_true_and_matches_its_schema(run, engine):
    document = msgspec.to_builtins(result.result_of(engine, run, "again"))
    jsonschema.validate(document, SCHEMA)
    assert document["state"] == "failed"
    tiers = {entry["tier"]: entry for entry in document["tiers"]}
    assert {name: entry["result"] for name, entry in tiers.items()} == {
        "base": "kept",
        "core": "built",
        "web": "failed",
        "db": "failed",
        "app": "not reached",
    }
    assert tiers["web"]["names"] == ["web:failed-1111111111111111"]
    assert tiers["web"]["tests"][0]["message"] == "no\x0c"
    assert tiers["db"]["told"][0] == "task 'Break' (db/tasks/main.yml:3)"
    assert not tiers["core"]["released"]


def test_the_junit_file_counts_builds_and_tests(run, engine):
    root = ET.fromstring(junit(result.result_of(engine, run, "again")))
    suites = {suite.get("name"): suite for suite in root}
    counts = {name: tuple(suite.get(key) for key in ("tests", "failures", "skipped")) for name, suite in suites.items()}
    assert counts == {
        "base": ("1", "0", "0"),
        "core": ("2", "0", "0"),
        "web": ("2", "2", "0"),
        "db": ("1", "1", "0"),
        "app": ("1", "0", "1"),
    }
    assert suites["db"].find("testcase/failure").text.splitlines()[0] == "task 'Break' (db/tasks/main.yml:3)"


def test_the_results_of_a_folder_have_a_suite_for_each_owner(run, engine, tmp_path):
    files = result.check_files({"results": str(tmp_path / "results")})
    assert not (tmp_path / "results").exists()
    tests = (
        result.Test("t.py::a", "passed", 0.5, "ops", "core", "", ""),
        result.Test("t.py::b", "failed", None, "dev", "web", "no", ""),
    )
    before = result.result_of(engine, run, "again")
    tiers = [msgspec.structs.replace(tier, tests=list(tests)) if tier.tier == "web" else tier for tier in before.tiers]
    result.begin_files(files, msgspec.structs.replace(before, tiers=tiers))
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == sorted(result.RESULT_NAMES)
    suites = {suite.get("name"): suite for suite in ET.parse(tmp_path / "results/junit.xml").getroot()}
    assert {name: suite.get("tests") for name, suite in suites.items() if name.startswith("web")} == {
        "web: build, team operations": "1",
        "web: contracts of core, team ops": "1",
        "web: tests, team dev": "1",
    }
    found = {each["ruleId"]: each for each in sarif(tmp_path / "results/refusals.sarif")["results"]}
    test = found["run/test"]
    assert test["message"]["text"] == "tier 'web' of team operations: t.py::b (of tier 'web', team dev): no"
    assert test["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "t.py"
    task = found["run/tier"]["locations"][0]
    assert task["physicalLocation"] == {"artifactLocation": {"uri": "db/tasks/main.yml"}, "region": {"startLine": 3}}
    assert len(found) == 2  # a tier that was not reached is refused by nobody


def sarif(path: Path) -> dict:
    """The run of a SARIF log. Its rules are those of its results."""
    (only,) = json.loads(path.read_text())["runs"]
    assert {rule["id"] for rule in only["tool"]["driver"]["rules"]} == {each["ruleId"] for each in only["results"]}
    return only


def test_passed_tests_have_the_owner_of_their_folder(run, engine, tmp_path, make_tier, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = RoleTests("core", "ops", str(tmp_path / "roles/core/tests"))
    above = RoleTests("base", "hw", "", "r.example.org/b@x")
    decision = Decision(make_tier("core", "base"), Action.BUILD, ("why",), None, {})
    write_plan(run, "demo", decision, None, tests=Suite(own, (above,)))
    names = ("roles/core/tests/t.py::one", "r.example.org/b@x:t.py::two", "elsewhere/t.py::three")
    ran = tuple(PassedTest(name, 0.5) for name in names)
    write_tested(run, "core", GateRecord("sha256:core", passed=True, seconds=1, tests=3, ran=ran))
    (core,) = [tier for tier in result.result_of(engine, run, "again").tiers if tier.tier == "core"]
    assert [(test.owner, test.tier) for test in core.tests] == [("ops", "core"), ("hw", "base"), (None, None)]


def test_a_failed_plan_is_a_refusal(tmp_path):
    files = result.check_files({"results": str(tmp_path / "results")})
    result.begin_files(files, result.RunResult(None, None, "failed", None, None, "tier 'x': no\nand y", "again"))
    (found,) = sarif(tmp_path / "results/refusals.sarif")["results"]
    assert (found["ruleId"], found["message"]["text"]) == ("run/chain", "tier 'x': no\nand y")


@pytest.mark.parametrize("path", ["/nonexistent/folder/x", "/dev/null"])
def test_an_invalid_folder_for_results_is_rejected(path):
    with pytest.raises(ChainError, match=r"tier_results is .*expected a folder in a folder that exists"):
        result.check_files({"results": path})


def test_a_failed_promotion_is_reported_although_all_tiers_passed(run, engine):
    note_failed_task(run, "base", TaskFailure("Move the release tags", "", ["somebody else moved it", "more"]))
    run_result = result.result_of(engine, run, "again", ["web", "base", "app"])
    assert run_result.error == "task 'Move the release tags'\n  somebody else moved it\n  more"
    lines = "\n".join(summary.failures(run, "again", ["base", "app"]))
    heading = "FAILED outside the tiers, whose results are in the table (host base)"
    assert f"{heading}\n  task 'Move the release tags'" in lines


def test_the_result_files_say_running_until_the_run_has_ended(run, engine, tmp_path):
    files = result.check_files({"result_file": str(tmp_path / "r.json"), "junit_file": str(tmp_path / "j.xml")})
    result.note_files(run, files)
    result.begin_files(files, result.RunResult("demo", run.run, result.RUNNING, None, None, None, "again"))
    document = json.loads((tmp_path / "r.json").read_text())
    jsonschema.validate(document, SCHEMA)
    assert document["state"] == "running"
    result.write_files(engine, run, "again")
    assert json.loads((tmp_path / "r.json").read_text())["state"] == "failed"
    assert ET.parse(tmp_path / "j.xml").getroot().get("name") == "demo"


def test_a_failed_plan_is_an_error_in_both_files(tmp_path):
    files = result.check_files({"result_file": str(tmp_path / "r.json"), "junit_file": str(tmp_path / "j.xml")})
    result.begin_files(files, result.RunResult(None, None, "failed", None, None, "tier 'x': no\nand y", "again"))
    jsonschema.validate(json.loads((tmp_path / "r.json").read_text()), SCHEMA)
    assert ET.parse(tmp_path / "j.xml").getroot().find("testsuite/testcase/error").get("message") == "tier 'x': no"


@pytest.mark.parametrize("path", ["/nonexistent/folder/x.json", "/tmp", "/dev/null"])
def test_an_invalid_result_path_is_rejected(path):
    with pytest.raises(ChainError, match=r"tier_result_file is .*expected a file in a folder that exists"):
        result.check_files({"result_file": path})
