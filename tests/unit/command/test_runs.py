"""`tierwright runs` shows what watchers did, and cancels a run."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.run_records import (
    RunOutcome,
    begin_run,
    end_run,
    is_cancel_requested,
    run_folder,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.survey import WorkKind, WorkNeed

pytestmark = pytest.mark.once

DOCS = Path(__file__).parents[3] / "docs"
NEED = WorkNeed(WorkKind.DEPLOY, "shop", {"web": "sha256:2"})


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def ended():
    run = begin_run(NEED, ["web runs 1; latest is 2"], ["/srv/site.yml"])
    (run_folder(run.id) / "artifacts").mkdir()
    (run_folder(run.id) / "artifacts/stdout").write_bytes(b"PLAY [x]\r\nevil \x1b[2J\xff\r\n")
    return end_run(run, RunOutcome.REJECTED, "web was rolled back")


def runs(*arguments):
    result = CliRunner().invoke(tierwright, ["runs", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, result.stdout, result.stderr


def test_without_a_watcher_there_are_no_runs():
    assert runs() == (0, "no watcher of this user has begun a run yet\n", "")


def test_runs_are_listed(ended):
    code, out, _err = runs()
    assert code == 0
    head, row = out.splitlines()
    assert head.split() == ["RUN", "WHAT", "WHY", "BEGAN", "TOOK", "OUTCOME"]
    assert row.startswith(f"{ended.id}  deploy shop  web runs 1; latest is 2")
    assert row.endswith("0 s  rejected")


def test_a_run_is_shown_with_its_output(ended):
    code, out, _err = runs(ended.id)
    assert code == 0
    assert out.splitlines()[:4] == [
        f"{ended.id}: deploy shop, rejected: web was rolled back",
        "  web runs 1; latest is 2",
        "",
        "PLAY [x]",
    ]
    assert "evil \\x1b[2J" in out
    assert "\x1b" not in out


def test_json_matches_the_documented_schema(ended):
    schema = json.loads((DOCS / "schemas/runs.json").read_text())
    for arguments in ([], [ended.id]):
        answer = json.loads(runs(*arguments, "--json")[1])
        jsonschema.validate(answer, schema)
        assert answer["runs"][0]["subject"] == ["web sha256:2"]


def test_a_run_is_cancelled(ended):
    going_on = begin_run(NEED, [], ["/srv/site.yml"])
    assert runs("--cancel", going_on.id) == (0, "", f"run {going_on.id} is asked to end\n")
    assert is_cancel_requested(going_on)
    assert "goes on" in runs()[1]
    code, _out, err = runs("--cancel", ended.id)
    assert (code, "cannot be cancelled" in err) == (5, True)


def test_an_unknown_run_is_one_sentence():
    assert runs("none") == (3, "", "tierwright: there is no run 'none'; `tierwright runs` lists them\n")
