"""Keeping, opening and discarding the containers of failed builds, and what may never be released."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain import tags
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, NotFoundError, RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.own_images import find_built, find_own
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.tag_transaction import Move, move_all
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.kept_builds import (
    KeepRequest,
    KeptBuild,
    PastTask,
    forget_kept,
    kept_build,
    note_kept,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.cleanup import abandoned_runs, clear_run
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.keeping import (
    discard,
    discardable,
    from_task,
)
from fake_engine import FakeEngine
from fake_engine.containers import create

RUN = "20200102T030405Z-1b2c3d4e"
WEB = Tier("web", "ops", "web", "latest", parent="base")


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def kept(engine):
    work = {**labels.work(RUN, "web"), labels.CHAIN: "shop"}
    engine.add("sha256:stage", labels.work(RUN, "web"), created_by="tierwright: build")
    container = create(engine.world, "sha256:stage", "name", work, "test")
    kept = KeptBuild(
        *("shop", "web", RUN, "now", engine_address(), container.id, "name", "sha256:stage", "p", "p", 1, 1.0, "no"),
        KeepRequest("py"),
    )
    note_kept(kept)
    return kept


def containers(engine):
    return [container for container, _labels in engine.containers.find(labels.RUN)]


def test_the_end_of_a_run_leaves_a_kept_container_and_its_stage_image(engine, kept):
    clear_run(engine, RUN)
    assert containers(engine) == [kept.container]
    assert engine.images.find(kept.stage)
    assert abandoned_runs(engine, "shop", {}, {}) == []


def test_without_its_record_the_container_is_left_over(engine, kept):
    forget_kept(kept)
    assert abandoned_runs(engine, "shop", {}, {}) == [RUN]
    clear_run(engine, RUN)
    assert containers(engine) == []


def test_discarding_removes_all_of_it(engine, kept):
    assert discardable("shop") == (kept,)
    discard(engine, kept)
    assert containers(engine) == []
    assert engine.images.find(kept.stage) is None
    assert kept_build("shop", "web") is None


def test_a_container_on_a_different_engine_is_not_forgotten(engine, kept):
    elsewhere = replace(kept, engine="tcp://elsewhere:2375")
    note_kept(elsewhere)
    assert discardable("shop") == ()
    with pytest.raises(EngineError, match="set DOCKER_HOST=tcp://elsewhere:2375"):
        discard(engine, elsewhere)
    assert kept_build("shop", "web") == elsewhere


def test_a_build_goes_on_at_the_last_failure_or_at_a_chosen_task(kept):
    steps = [("A", "changed"), ("B", "failed"), ("C", "changed"), ("D", "failed"), ("Always", "changed")]
    tasks = tuple(PastTask("web", name, "f", status) for name, status in steps)
    build = replace(kept, tasks=tasks)
    assert [past.name for past in from_task(build, None).tasks] == ["A", "B", "C"]
    assert [past.name for past in from_task(build, "C").tasks] == ["A", "B"]
    with pytest.raises(NotFoundError, match="has no task 'X'; its tasks are: 'A', 'B', 'C', 'D', 'Always'"):
        from_task(build, "X")


RESUMED = {labels.TIER: "web", labels.RESUMED: RUN}


def test_labels_of_a_resumed_build_have_no_key():
    found = labels.identity("shop", WEB, {"parent": "p", "x": "y"}, None, resumed=RUN)
    assert found[labels.RESUMED] == RUN
    assert not {labels.KEY, labels.PARTS} & found.keys()
    assert labels.RESUMED not in labels.identity("shop", WEB, {"parent": "p"}, None)


@pytest.mark.parametrize("name", ["web:latest", "web:key-0123456789abcdef", "web:failed-0123456789abcdef"])
def test_no_plan_finds_a_resumed_image_whatever_its_name(engine, name):
    engine.add("sha256:r", {**RESUMED, labels.KEY: "0123456789abcdef"}, name)
    assert find_own(engine.images.find, WEB, name) is None
    assert find_built(engine.images.find, WEB, "0123456789abcdef") is None


@pytest.mark.parametrize("tag", ["latest", "previous", "release-20261124T093000Z"])
def test_no_tag_moves_to_a_resumed_image(engine, tag):
    engine.add("sha256:r", RESUMED, f"web:{tags.resumed(RUN)}")
    engine.add("sha256:good", {labels.TIER: "db"}, "db:key-1")
    moves = [Move("db", "latest", None, "sha256:good"), Move("web", tag, None, "sha256:r")]
    with pytest.raises(RunError, match=f"but run {RUN} made this image in the container of a failed build"):
        move_all(engine, "shop", moves)
    assert engine.images.find("db:latest") is None
    move_all(engine, "shop", [Move("web", tags.resumed(RUN), "sha256:r", None)])  # prune may remove it


def test_the_tag_of_a_resumed_build_cannot_be_a_release_tag():
    assert tags.is_reserved(tags.resumed(RUN))
    assert tags.is_resumed(tags.resumed(RUN))
    assert not tags.is_resumed("resumed-yesterday")
