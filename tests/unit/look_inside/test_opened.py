"""Which container is opened to look into a tier."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import NotFoundError, UsageError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.local_files import write_atomically
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.look_inside import opened, throw_away
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.records import encode
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state import run_log
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.kept_builds import (
    KeepRequest,
    KeptBuild,
    note_kept,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.status import Ended, Standing, status_file
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.tier_records import GateRecord
from fake_engine import FakeEngine

RUN = "20200102T030405Z-1b2c3d4e"
BASE = Standing("base", "operations", None, "shop/base:latest")
WEB = Standing("web", "middleware", "base", "shop/web:latest")
FAILED = Ended("2026-01-01T00:00:00Z", RUN, "build", "failed", "its tests failed", "sha256:bad", 2, [])


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def engine():
    engine = FakeEngine()
    engine.add("sha256:base", {labels.TIER: "base"}, "shop/base:latest")
    return engine


@pytest.fixture
def started(monkeypatch):
    """What was started and removed."""
    started = []

    def start_of_image(_engine, image, tier, *_others):
        started.append((tier, image.id))
        return throw_away.ThrowAway("container", "run")

    def start_build(_engine, parent_image, tier, *_others):
        started.append((f"build of {tier}", parent_image.id))
        return throw_away.ThrowAway("container", "run")

    monkeypatch.setattr(throw_away, "start_of_image", start_of_image)
    monkeypatch.setattr(throw_away, "start_build", start_build)
    monkeypatch.setattr(throw_away, "remove", lambda _engine, each: started.append(("removed", each.container)))
    return started


def plan(chain, *standings):
    path = status_file(chain)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, encode({each.tier: each for each in standings}))


def look(engine, chain="shop", tier="web", *, released=False):
    """Open a container, and return the lines that say which it is."""
    said = []
    with opened.opened(engine, opened.find_tier(tier, chain), said.append, released=released) as container:
        assert container == "container"
    return "\n".join(said)


def test_a_tier_that_no_plan_has_seen_tells_how_to_make_one():
    with pytest.raises(NotFoundError, match=r"has seen a tier 'web'; make one first: .* --check"):
        opened.find_tier("web", None)
    plan("shop", WEB)
    with pytest.raises(NotFoundError, match="has seen a tier 'db' of chain 'shop'"):
        opened.find_tier("db", "shop")


def test_a_name_in_several_chains_needs_a_choice():
    plan("shop", WEB)
    plan("blog", WEB)
    with pytest.raises(UsageError, match="several chains have a tier 'web': blog, shop; choose one with --chain"):
        opened.find_tier("web", None)
    assert opened.find_tier("web", "blog").chain == "blog"


def test_a_kept_build_is_found_although_no_plan_has_its_tier_any_more():
    plan("shop", BASE)
    kept = KeptBuild("shop", "web", RUN, "now", "unix:///x", "c", "n", "s", "p", "p", 1, 1.0, "no", KeepRequest("py"))
    note_kept(kept)
    found = opened.find_tier("web", None)
    assert (found.kept, found.standing) == (kept, None)


def test_the_released_image_is_opened_and_its_container_is_removed(engine, started):
    plan("shop", BASE, WEB)
    engine.add("sha256:web", {labels.TIER: "web"}, "shop/web:latest")
    assert "web: this is a throw-away container of its image" in look(engine)
    assert started == [("web", "sha256:web"), ("removed", "container")]


def test_the_container_is_removed_after_an_error_too(engine, started):
    plan("shop", BASE, WEB)
    engine.add("sha256:web", {labels.TIER: "web"}, "shop/web:latest")
    with pytest.raises(ZeroDivisionError), opened.opened(engine, opened.find_tier("web", None), print, released=False):
        raise ZeroDivisionError
    assert started[-1] == ("removed", "container")


def test_the_image_of_another_tier_with_its_name_is_not_opened(engine, started):
    plan("shop", BASE, WEB)
    engine.add("sha256:other", {labels.TIER: "other"}, "shop/web:latest")
    assert "it was never built, so this is a fresh build container on the image of its parent 'base'" in look(engine)
    assert started[0] == ("build of web", "sha256:base")


def test_without_a_release_the_image_of_the_last_run_is_opened(engine, started):
    plan("shop", BASE, replace(WEB, ended=replace(FAILED, result="built", image="sha256:new")))
    engine.add("sha256:new", {labels.TIER: "web"})
    look(engine)
    assert started[0] == ("web", "sha256:new")
    with pytest.raises(NotFoundError, match="tier 'web' has no image; build the chain"):
        look(engine, released=True)


@pytest.mark.parametrize(("passed", "image"), [(False, "sha256:bad"), (True, "sha256:web")])
def test_the_image_that_failed_its_tests_comes_first(engine, started, monkeypatch, passed, image):
    plan("shop", BASE, replace(WEB, ended=FAILED))
    engine.add("sha256:web", {labels.TIER: "web"}, "shop/web:latest")
    engine.add("sha256:bad", {labels.TIER: "web"})
    tests = GateRecord("sha256:bad", passed, 1.0, 2)
    log = run_log.TierLog("shop", "web", RUN, "a", "b", "failed", "no", [], 0, [], tests)
    monkeypatch.setattr(opened, "read_logs", lambda _chain, _tier: [log])
    look(engine)
    assert started[0] == ("web", image)
    started.clear()
    look(engine, released=True)
    assert started[0] == ("web", "sha256:web")


def test_a_tier_without_image_below_a_parent_without_image_is_an_error():
    plan("shop", BASE, WEB)
    with pytest.raises(NotFoundError, match="has no image, nor has its parent 'base'; build the chain"):
        look(FakeEngine())
