"""Followed tiers are compared with what is released and offered; what cannot be asked is a problem."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.followed_image import look_up
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.verdicts import ConsumerVerdict
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.tell_verdict import tell_verdict
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.chain_survey import (
    survey_candidates,
    survey_releases,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.survey import WorkKind
from fake_registry import fake_registry
from published_images import publish, tier_layer

pytestmark = pytest.mark.once
BASE = tier_layer(1)


@pytest.fixture
def registry():
    with fake_registry() as found:
        publish(found, "ops/corebuild", "stable", [BASE, tier_layer(2)])
        yield found


@pytest.fixture
def followed(registry):
    source = Follow(f"{registry.host}/ops/corebuild", "stable")
    return Tier("corebuild", "operations", "here/corebuild", "stable", source=source)


@pytest.fixture
def connect():
    return Registries().reader


@pytest.fixture
def locked(followed, connect):
    return {"corebuild": look_up(connect, followed).locked}


def app(image="app"):
    return Tier("app", "development", image, "latest", parent="corebuild", role="app")


def refuse(_host):
    raise EngineError("registry x does not answer")


def test_the_same_release_needs_no_work(followed, locked, connect):
    (need,) = survey_releases("shop", [followed], locked, connect).needs
    assert (need.kind, need.about, need.reasons) == (WorkKind.FOLLOW, "shop", ())
    assert need.subject == {"corebuild": locked["corebuild"].digest}


def test_a_newer_release_and_an_unlocked_one_need_work(registry, followed, locked, connect):
    assert "not locked yet" in survey_releases("shop", [followed], {}, connect).needs[0].reasons[0]
    manifest, _config = publish(registry, "ops/corebuild", "stable", [BASE, tier_layer(3)])
    (need,) = survey_releases("shop", [followed], locked, connect).needs
    assert (need.subject, len(need.reasons)) == ({"corebuild": manifest}, 1)


def test_if_one_registry_does_not_answer_nothing_is_locked(followed, locked):
    found = survey_releases("shop", [followed], locked, refuse)
    assert (found.needs, len(found.problems)) == ([], 1)
    assert "registry x does not answer" in found.problems[0]


def test_a_release_of_another_name_is_an_error_of_the_inventory(registry, followed, connect):
    publish(registry, "ops/corebuild", "stable", [BASE], owners=["other"])
    with pytest.raises(ChainError, match="published as tier 'other'"):
        survey_releases("shop", [followed], {}, connect)


def test_a_candidate_is_tried_until_there_is_a_verdict(registry, followed, locked, connect):
    chain = Chain([followed, app(f"{registry.host}/dev/app")])
    assert survey_candidates("shop", chain, locked, connect).needs == []
    manifest, _config = publish(registry, "ops/corebuild", "candidate", [BASE, tier_layer(3)])
    (need,) = survey_candidates("shop", chain, locked, connect).needs
    assert (need.kind, need.subject, len(need.reasons)) == (WorkKind.TRY, {"corebuild": manifest}, 1)
    verdict = ConsumerVerdict(followed.published_image, manifest, "app", "development", passed=False, tests=1)
    tell_verdict(Registries().writer(registry.host), "dev/app", verdict)
    (need,) = survey_candidates("shop", chain, locked, connect).needs
    assert (need.subject, need.reasons) == ({"corebuild": manifest}, ())


def test_tiers_without_a_registry_are_tried_too(registry, followed, locked, connect):
    publish(registry, "ops/corebuild", "candidate", [BASE, tier_layer(3)])
    (need,) = survey_candidates("shop", Chain([followed, app()]), locked, connect).needs
    assert "no verdict of app" in need.reasons[0]


def test_candidates_of_an_unlocked_tier_are_a_problem(followed, connect):
    assert "not locked yet" in survey_candidates("shop", Chain([followed, app()]), {}, connect).problems[0]
