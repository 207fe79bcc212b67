"""The results of tests that a report shows for a tier."""

from __future__ import annotations

from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.gate_facts import (
    NotedFailure,
    SuiteFolder,
    note_gate,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.tested import (
    ReportedTest,
    newest_tests,
    passed_tests,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.status import (
    Ended,
    FailedTestRecord,
    Standing,
    Wanted,
)
from made_records import CONFIG, GATE, PARENT

OWN, CORE = GATE.passed
PASSED = replace(
    GATE,
    folders=(
        SuiteFolder("httpd-php", "middleware", "own", "11" * 32, folder="roles/httpd_php/tests"),
        SuiteFolder("corebuild", "operations", "contract", "22" * 32, folder="roles/corebuild/tests"),
    ),
    seconds={OWN: 1.5},
)
REJECTED = replace(
    PASSED, passed=(CORE,), failed=(OWN,), failures=(NotedFailure(OWN, "one"), NotedFailure(OWN, "two")), run="later"
)


def status(result="failed", run="later", tests=2, image=None):
    failures = [FailedTestRecord("test_page", "middleware", "no")] if result == "failed" else []
    wanted = Wanted("2026-11-30T01:00:00+00:00", "build", [])
    ended = Ended("2026-11-30T02:00:00+00:00", run, "build", result, "", image, tests, failures)
    return Standing("httpd-php", "middleware", "corebuild", "httpd-php:latest", wanted, ended)


def test_each_test_has_its_owner_and_its_duration():
    records = LocalRecords()
    note_gate(records, CONFIG, PASSED)
    tests = passed_tests(records, CONFIG)
    assert (tests.passed, tests.failed, tests.skipped, tests.total, tests.contracts) == (2, 0, 1, 3, 1)
    assert tests.is_complete
    assert tests.neighbours == GATE.neighbours
    assert tests.results[1:] == [
        ReportedTest(OWN, "passed", "httpd-php", "middleware", "own", 1.5),
        ReportedTest(CORE, "passed", "corebuild", "operations", "contract"),
    ]


def test_tests_of_another_team_belong_to_the_image_that_they_are_attached_to():
    records, origin = LocalRecords(), f"registry.example.org/core@{PARENT}"
    folder = SuiteFolder("corebuild", "operations", "contract", "22" * 32, origin)
    note_gate(records, CONFIG, replace(PASSED, folders=(folder,), passed=(f"{origin}:test_core.py::test_x",)))
    assert [test.tier for test in passed_tests(records, CONFIG).results] == [None, "corebuild"]


def test_notes_of_an_older_version_have_no_owners():
    records = LocalRecords()
    note_gate(records, CONFIG, GATE)
    assert {test.tier for test in passed_tests(records, CONFIG).results} == {None}


def test_a_failed_build_counts_before_the_image_in_use():
    records = LocalRecords()
    note_gate(records, CONFIG, PASSED)
    note_gate(records, PARENT, REJECTED)
    tests = newest_tests(records, CONFIG, [CONFIG, PARENT], status())
    assert (tests.passed, tests.failed, tests.run) == (1, 1, "later")
    assert [(test.test, test.message) for test in tests.failures] == [(OWN, "one\ntwo")]
    assert newest_tests(records, CONFIG, [CONFIG, PARENT], None).failed == 0


def test_a_build_that_failed_in_an_earlier_run_does_not_count():
    records = LocalRecords()
    note_gate(records, PARENT, REJECTED)
    tests = newest_tests(records, CONFIG, [CONFIG, PARENT], status(run="the newest", tests=9))
    assert (tests.passed, tests.failed, tests.is_complete) == (8, 1, False)
    assert [(test.test, test.team, test.message) for test in tests.failures] == [("test_page", "middleware", "no")]


def test_a_newer_failure_of_the_image_in_use_counts():
    records = LocalRecords()
    note_gate(records, CONFIG, PASSED)
    note_gate(records, CONFIG, replace(REJECTED, tested="2026-11-30T00:00:00Z"))
    assert newest_tests(records, CONFIG, [CONFIG], None).failed == 0
    note_gate(records, CONFIG, replace(REJECTED, tested="2026-11-30T09:00:00Z"))
    assert newest_tests(records, CONFIG, [CONFIG], None).failed == 1


def test_without_notes_the_number_of_the_status_counts_for_the_same_image():
    assert newest_tests(LocalRecords(), CONFIG, [CONFIG], status("built", image=CONFIG)).passed == 2
    assert newest_tests(LocalRecords(), CONFIG, [CONFIG], status("built", image=PARENT)) is None


def test_an_image_whose_id_is_no_digest_has_no_results():
    assert passed_tests(LocalRecords(), "../../etc") is None
    assert newest_tests(LocalRecords(), "../../etc", ["x"], status()).failed == 1
