"""The first page: its answers, who must act, and the trend of the tests."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

import made_chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployed_service import (
    DeployedService,
    DeployedSites,
    OutdatedLayer,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployment_record import (
    DeploymentRecord,
    DeployOutcome,
    ServiceRecord,
    write_record,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.outdated_packages import (
    ComparedArchive,
    Outdated,
    Rebuild,
    Update,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.open_actions import find_actors
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.overview import answers, headline
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.owners import Owners
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.pages import Pages
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.trend import chain_trend, tier_trend

SERVICE = DeployedService(
    site="shop",
    service="web",
    target="swarm",
    image="registry.example.org/team/wordpress@sha256:1",
    chosen_by="wordpress:latest",
    config=None,
    deployment=None,
    since="2026-11-24T10:00:00Z",
    running=2,
    wanted=2,
    state=None,
    problem=None,
    current=True,
)
FOREIGN = replace(SERVICE, service="theirs", chosen_by="elsewhere/wordpress:latest")


def answered(facts):
    return {each.question: (each.answer, each.kind) for each in answers(facts)}


def acting(facts):
    return {
        actor.team or actor.who: [(action.about, action.what) for action in actor.actions]
        for actor in find_actors(facts, Owners(facts.counted))
    }


def deployed(*services):
    return lambda: DeployedSites(list(services), ["a note"])


def updates(facts, *names):
    """Outdated packages in the last layers of tiers, the first one a security update."""
    layers = [tier.content.layers[-1].layer for name in names for tier in facts.tiers if tier.name == name]
    found = [Update("ssl", "amd64", "1", "2", number == 0, [], layer, []) for number, layer in enumerate(layers)]
    archive = ComparedArchive("archive", security=True, signature="valid")
    return Outdated([], [archive], found, [Rebuild(layers[0], len(found), 1, list(names))], [])


def test_a_chain_in_which_all_is_well(facts):
    made_chain.write_status()
    made_chain.write_tests()
    report = facts(deployed=deployed(SERVICE))
    assert headline(report, []) == ("fine", "All is up to date: 6 tiers.")
    assert acting(report) == {}
    assert answered(report) == {
        "Released": ("6 of 6 tiers", "fine"),
        "Tests": ("32 passed", "fine"),
        "Packages": ("not compared", ""),
        "Deployed": ("1 service up to date", "fine"),
    }


def test_the_team_of_each_failed_tier_must_act_and_nobody_for_what_was_not_reached(facts):
    made_chain.write_status(failed={"wordpress": "it broke"}, stale={"mariadb": "x changed"})
    made_chain.write_tests(failed={"wordpress": "assert 500 == 200\nmore"})
    report = facts()
    assert headline(report, []) == ("failed", "Of 6 tiers, 1 failed, 1 was not reached and 1 is stale.")
    assert answered(report)["Tests"] == ("1 of 32 failed", "failed")
    assert acting(report) == {
        "development": [("wordpress", "1 of 7 tests fail")],
        "middleware": [("mariadb", "build it again")],
    }
    [first] = find_actors(report, Owners(report.counted))[0].actions
    assert first.detail == "roles/wordpress/tests/test_site.py::test_0: assert 500 == 200"


def test_outdated_packages_have_the_team_that_must_build(facts):
    report = facts()
    report = replace(report, outdated=updates(report, "corebuild", "httpd-php"))
    assert answered(report)["Packages"] == ("2 outdated", "failed")
    assert acting(report) == {
        "operations": [("corebuild", "build it again, it lacks 2 package updates, 1 security update")]
    }
    index = dict(Pages(report).render())["index.html"]
    assert "All is built as planned: 6 tiers. But 1 owner must act." in index
    assert 'href="tiers/httpd-php.html#outdated">1 package<' in index


def test_a_layer_of_nobody_belongs_to_the_lowest_tier_that_has_it(facts):
    report = facts()
    layer = replace(report.tiers[0].content.layers[0].layer, tier=None, team=None)
    assert Owners(report.counted).of_layer(layer).name == "base"
    assert Owners(report.counted).of_layer(replace(layer, digest="sha256:0")) is None


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"current": False, "outdated": [OutdatedLayer("corebuild", "operations")]}, "deploy it again, a newer image"),
        ({"running": 1, "problem": "no space"}, "1 of 2 containers run"),
        ({"state": "rolled back"}, "its last deployment was not successful: rolled back"),
    ],
)
def test_whoever_deploys_a_site_must_act(facts, changes, what):
    made_chain.write_status()
    report = facts(deployed=deployed(replace(SERVICE, **changes)))
    [(about, action)] = acting(report)["whoever deploys shop"]
    assert about == "shop/web"
    assert action.startswith(what)
    assert answered(report)["Deployed"] == ("1 of 1 need action", "stale")
    assert "shop/web" in dict(Pages(report).render())["tiers/wordpress.html"]


def test_services_of_other_chains_do_not_count(facts):
    made_chain.write_status()
    report = facts(deployed=deployed(FOREIGN))
    assert report.deployed.services == []
    assert answered(report)["Deployed"] == ("nothing", "")


def test_an_engine_that_cannot_say_what_runs_is_no_reason_to_fail(facts):
    def ask():
        raise EngineError("it is a worker")

    report = facts(deployed=ask)
    assert report.deployed.notes == ["what runs is not known: it is a worker"]
    assert answered(report)["Deployed"] == ("not known", "")


def test_without_an_answer_the_last_deployment_of_this_machine_is_shown(facts):
    made_chain.write_status()
    each = ServiceRecord("web", "w@sha256:1", "wordpress:latest", "sha256:2", "wordpress", "development")
    failed = replace(each, outcome=DeployOutcome.ROLLED_BACK, reason="<b>it broke</b>")
    write_record(DeploymentRecord("deploy-1", "my shop", "swarm", "2026-11-24T08:00:00Z", None, [failed]))
    other = replace(each, chosen_by="theirs:1")
    write_record(DeploymentRecord("deploy-1", "theirs", "swarm", "2026-11-24T08:00:00Z", None, [other]))
    report = facts()
    assert [record.site for record in report.deployed.records] == ["my shop"]
    assert answered(report)["Deployed"] == ("rolled back", "")
    page = dict(Pages(report).render())["deployed.html"]
    assert "my shop: rolled back" in page
    assert "&lt;b&gt;it broke" in page


def test_the_trend_counts_the_images_that_were_in_use_after_each_release(facts):
    made_chain.write_status(failed={"shop": "it broke"})
    made_chain.write_tests(releases=3, failed={"shop": "no"})
    report = facts(releases=3)
    trend = chain_trend(report.counted, 10)
    assert [(point.tag, point.passed, point.failed, point.skipped, point.unknown) for point in trend] == [
        ("", 31, 1, 5, 1),
        (made_chain.RELEASES[0], 32, 0, 5, 1),
        (made_chain.RELEASES[1], 27, 0, 5, 1),
        (made_chain.RELEASES[2], 22, 0, 5, 1),
    ]
    assert trend[0].bars(37) == [
        ("passed", "0.0%", "83.8%"),
        ("skipped", "83.8%", "13.5%"),
        ("failed", "97.3%", "2.7%"),
    ]
    assert len(chain_trend(report.counted, 2)) == 2
    assert [point.total for point in tier_trend(report.tiers[0], 5)] == []


def test_the_first_page_of_a_large_chain_stays_small(facts):
    """A browser shows it in less than a second (tests/bench/report)."""
    tiers = made_chain.large(1000)
    names = list(tiers)
    made_chain.write_status(
        tiers, failed=dict.fromkeys(names[500:700], "x"), stale=dict.fromkeys(names[700:], "y" * 300)
    )
    pages = Pages(facts(tiers)).render()
    name, text = next(pages)
    assert name == "index.html"
    assert len(text.encode()) < 150_000
    assert "All 1000 tiers" in text


def test_images_that_are_not_tiers_count_nowhere(facts):
    report = facts()
    foreign = replace(report.tiers[-1], is_tier=False, state="stale")
    report = replace(report, tiers=[*report.tiers[:-1], foreign])
    assert headline(report, []) == ("fine", "All is up to date: 5 tiers.")
    assert answered(report)["Released"] == ("5 of 5 tiers", "fine")
    assert [each.name for each in report.other_images] == [foreign.name]
    assert "Other images" in dict(Pages(report).render())["index.html"]
