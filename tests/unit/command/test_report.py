"""`tierwright report`: what it answers, and when it asks what runs."""

from __future__ import annotations

import json

import jsonschema
import pytest
from click.testing import CliRunner

import made_chain
import schemas
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command import ask_target
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployed_service import DeployedSites

pytestmark = pytest.mark.once


@pytest.fixture
def asked(monkeypatch):
    """What the command asks an engine or a cluster; the answer is that nothing runs."""
    questions = []

    def ask(*question):
        questions.append(question)
        return DeployedSites([], [])

    monkeypatch.setattr(ask_target, "ask_target", ask)
    return questions


@pytest.fixture
def report(monkeypatch, tmp_path, asked):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = made_chain.write_layout(tmp_path / "layout")
    assert asked == []

    def run(*options):
        arguments = ["report", "--in", place, "-o", str(tmp_path / "site"), "--no-outdated", *options]
        result = CliRunner().invoke(tierwright, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_the_answer_counts_tiers_and_tests(report, asked):
    made_chain.write_status(failed={"wordpress": "it broke"}, stale={"mariadb": "x changed"})
    made_chain.write_tests(failed={"wordpress": "assert 500 == 200"})
    answer = json.loads(report("--json"))
    counts = ("tiers", "failed", "not_reached", "stale", "tests_passed", "tests_failed", "tests_skipped", "services")
    assert [answer[name] for name in counts] == [6, 1, 1, 1, 31, 1, 5, None]
    assert asked == []
    jsonschema.validate(answer, json.loads(schemas.path("report").read_text()))
    assert "6 tiers, 1 failed, 1 not reached, 1 stale, 1 test failed" in report()


@pytest.mark.parametrize(
    ("options", "question"),
    [
        (("--deployed",), (None, None, None)),
        (("--context", "prod"), (None, "prod", None)),
        (("--namespace", "shop"), (None, None, "shop")),
    ],
)
def test_it_asks_what_runs_if_it_shall(report, asked, options, question):
    assert json.loads(report("--json", *options))["services"] == 0
    assert asked == [question]
    assert json.loads(report("--json", *options, "--no-deployed"))["services"] is None
    assert asked == [question]
