"""A tier whose content did not change keeps its image, so its descendants are not rebuilt."""

from __future__ import annotations

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import content_tag, digest_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.source_version import Commit
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.provenance import EARLIEST
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal, Outcome
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import Planned
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.build import epoch_of, spare
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.candidates import (
    Candidate,
    accept,
    drop_all_holds,
    hold,
    propose,
    read,
)
from fake_engine import FakeEngine


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def journal(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Journal.begin("demo")


@pytest.fixture
def tier(make_tier):
    return make_tier("httpd-php", "corebuild")


def labels_of(tier, parts, content="same"):
    identity = labels.identity("demo", tier, parts, "debian")
    return {**identity, labels.CONTENT: content} if content else identity


def release(engine, tier, parts, content="same"):
    engine.add(
        "sha256:old", labels_of(tier, parts, content), tier.release, f"httpd-php:{content_tag(digest_key(parts))}"
    )


def seal(engine, journal, tier, make_image, parts, content="same"):
    engine.add("sha256:new", labels_of(tier, parts, content))
    image = hold(engine, journal, tier, lambda: make_image("sha256:new", engine.world.images["sha256:new"].labels))
    return propose(engine, journal, tier, image)


OLD, NEW = {"parent": "sha256:core", "role/a": "1"}, {"parent": "sha256:core", "role/a": "2"}


def test_a_build_with_the_same_content_gives_the_released_image(engine, journal, tier, make_image):
    release(engine, tier, OLD)
    image = seal(engine, journal, tier, make_image, NEW)
    assert image.id == "sha256:old"
    accept(engine, journal, tier)
    assert journal.outcome(tier.name) == Outcome("sha256:old", "built, same content as the release")
    assert set(engine.world.images) == {"sha256:old"}
    # The content tags of both keys name it, so the next run builds nothing.
    assert {engine.world.names[f"httpd-php:{content_tag(digest_key(parts))}"] for parts in (OLD, NEW)} == {"sha256:old"}


@pytest.mark.parametrize(
    ("old_content", "new_content", "parts"),
    [
        ("one", "other", NEW),
        (None, None, NEW),  # two images without the label of their content
        ("same", "same", {**NEW, "parent": "sha256:another"}),
    ],
)
def test_a_build_with_a_difference_gives_a_new_image(
    engine, journal, tier, make_image, old_content, new_content, parts
):
    release(engine, tier, OLD, old_content)
    assert seal(engine, journal, tier, make_image, parts, new_content).id == "sha256:new"
    accept(engine, journal, tier)
    assert journal.outcome(tier.name) == Outcome("sha256:new", "")
    assert engine.world.names[tier.release] == "sha256:old"
    assert engine.world.names[f"httpd-php:{content_tag(digest_key(parts))}"] == "sha256:new"


def test_a_candidate_has_only_the_tag_of_its_run_until_it_is_accepted(engine, journal, tier, make_image):
    seal(engine, journal, tier, make_image, NEW)
    assert engine.world.names == {f"httpd-php:building-{journal.run}": "sha256:new"}
    assert journal.outcome(tier.name) is None
    drop_all_holds(engine, journal)
    assert engine.world.images == {}
    drop_all_holds(engine, journal)  # the image may not exist any more


def test_an_accepted_image_is_not_removed_with_the_run(engine, journal, tier, make_image):
    seal(engine, journal, tier, make_image, NEW)
    accept(engine, journal, tier)
    drop_all_holds(engine, journal)
    assert set(engine.world.images) == {"sha256:new"}


def test_a_different_team_gives_a_different_image(engine, journal, make_tier, make_image):
    old_tier, new_tier = make_tier("httpd-php", "corebuild"), make_tier("httpd-php", "corebuild", team="middleware")
    release(engine, old_tier, OLD)
    assert seal(engine, journal, new_tier, make_image, NEW).id == "sha256:new"


def planned(tier, *, forced=False):
    return Planned("demo", tier, Action.BUILD, None, {"role/a": "1"}, "httpd_php", forced)


def test_a_tier_is_spared_if_its_new_parent_is_the_old_image(engine, journal, tier):
    release(engine, tier, OLD)
    image = spare(engine, journal, planned(tier), "sha256:core")
    assert image is not None
    assert image.id == "sha256:old"
    assert read(journal, tier.name) == Candidate("sha256:old", "kept, built before on this image of parent corebuild")
    assert journal.outcome(tier.name) is None  # its tests may have to run first


@pytest.mark.parametrize(("parent", "forced"), [("sha256:another", False), ("sha256:core", True)])
def test_a_tier_with_a_different_parent_or_a_forced_tier_is_built(engine, journal, tier, parent, forced):
    release(engine, tier, OLD)
    assert spare(engine, journal, planned(tier, forced=forced), parent) is None
    assert journal.outcome(tier.name) is None


@pytest.mark.parametrize(
    ("own", "committed", "parent", "epoch"),
    [
        (5, 2_000_000_000, 1_900_000_000, 5),
        (None, 2_000_000_000, 1_900_000_000, 2_000_000_000),
        (None, 1_800_000_000, 1_900_000_000, 1_900_000_000),
        (None, None, 1_900_000_000, 1_900_000_000),
        (None, None, 0, EARLIEST),
    ],
)
def test_the_epoch_of_an_image(make_tier, make_image, own, committed, parent, epoch):
    commit = None if committed is None else Commit("0" * 40, committed)
    planned = Planned("demo", make_tier("web", "base", epoch=own), Action.BUILD, None, {}, "web", commit=commit)
    assert epoch_of(planned, msgspec.structs.replace(make_image("sha256:1", {}), created=parent)) == epoch
