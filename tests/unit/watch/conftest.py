"""Fixtures of a watcher: a state folder, needs and runs."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.owner import Holder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.run_records import WatchRun
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.settings import make_settings
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.survey import Survey, WorkKind, WorkNeed


@pytest.fixture(autouse=True)
def state_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "tierwright"


@pytest.fixture
def make_need():
    """Make a need to deploy the site `shop`, which is out of date."""

    def make(**fields):
        need = WorkNeed(WorkKind.DEPLOY, "shop", {"web": "sha256:2"}, ("web runs 1; latest is 2",))
        return replace(need, **fields)

    return make


@pytest.fixture
def make_run(make_need):
    """Make the record of a run that ended at a time."""

    def make(outcome, ended="2026-11-29T20:10:00Z", need=None, **fields):
        need = need or make_need()
        run = WatchRun(
            id=f"run-{ended}",
            kind=need.kind,
            about=need.about,
            subject=dict(need.subject),
            reasons=list(need.reasons),
            inventories=["/srv/site.yml"],
            holder=Holder.of_this_process("tierwright watch"),
            began="2026-11-29T20:00:00Z",
            ended=ended,
            outcome=outcome,
        )
        return replace(run, **fields)

    return make


@pytest.fixture
def make_survey(tmp_path):
    """Make a survey with these needs."""

    def make(*needs, problems=(), **fields):
        values = {"watch_deploy": True, "watch_debounce": 0.01, "watch_listen": "", **fields}
        return Survey(make_settings(values, tmp_path), list(needs), list(problems), uses_engine=False)

    return make
