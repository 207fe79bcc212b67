"""A watcher says how it is: as JSON for people and probes, and as measures for Prometheus."""

from __future__ import annotations

import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.health import COMPARISON, ENGINE, Health
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.run_records import RunOutcome
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.work import decide

pytestmark = pytest.mark.once


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(clock):
    return Health(clock)


def compare(health, survey):
    health.compared(survey, decide(survey.needs, [], health._clock()))


def measures(health):
    """The measures by name and labels."""
    lines = health.metrics().body.decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_a_watcher_is_well_until_nothing_was_compared_for_three_intervals(health, clock, make_survey):
    assert health.page().status == 200
    clock.now += 121
    assert health.page().status == 503
    compare(health, make_survey(watch_interval=100.0))
    clock.now += 299
    assert health.page().status == 200
    clock.now += 2
    assert health.page().status == 503


def test_the_page_says_what_runs_and_waits(health, make_survey, make_need, make_run):
    compare(health, make_survey(make_need(rejected="it was rolled back"), problems=["registry x does not answer"]))
    health.began(make_run(None, ended=None, id="deploy-1"))
    page = json.loads(health.page().body)
    assert page == {
        "well": True,
        "compared": "1970-01-12T13:46:40Z",
        "problems": ["registry x does not answer"],
        "waiting": {"deploy shop": "web runs 1; latest is 2; it was rolled back"},
        "running": {"deploy-1": "deploy shop"},
    }
    health.failed(COMPARISON, "Ansible failed")
    assert json.loads(health.page().body)["problems"] == ["Ansible failed"]


def test_measures_say_since_when_something_is_out_of_date(health, clock, make_survey, make_need):
    def name(measure):
        return f'tierwright_watch_{measure}{{about="shop",kind="deploy"}}'

    compare(health, make_survey(make_need()))
    clock.now += 50
    compare(health, make_survey(make_need(rejected="no")))
    found = measures(health)
    assert found[name("out_of_date")] == 1
    assert found[name("out_of_date_since_timestamp_seconds")] == 1_000_000
    assert found[name("held")] == 1
    assert found["tierwright_watch_compared_timestamp_seconds"] == 1_000_050
    compare(health, make_survey(make_need(reasons=())))
    found = measures(health)
    assert (found[name("out_of_date")], found[name("held")]) == (0, 0)
    assert name("out_of_date_since_timestamp_seconds") not in found


def test_runs_and_failures_are_counted(health, make_run):
    assert measures(health)['tierwright_watch_runs_total{kind="deploy",outcome="rejected"}'] == 0
    health.began(make_run(None, ended=None, id="deploy-1"))
    assert measures(health)['tierwright_watch_running{kind="deploy"}'] == 1
    health.ended(make_run(RunOutcome.REJECTED, id="deploy-1"))
    health.failed(ENGINE, "killed")
    found = measures(health)
    assert found['tierwright_watch_running{kind="deploy"}'] == 0
    assert found['tierwright_watch_runs_total{kind="deploy",outcome="rejected"}'] == 1
    assert found['tierwright_watch_run_seconds{kind="deploy"}'] == 600
    assert found['tierwright_watch_failures_total{source="engine"}'] == 1
