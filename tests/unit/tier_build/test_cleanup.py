"""Removing what killed and abandoned runs left behind, and deciding which images belong to a chain."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain import tags
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels, provenance
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.interpreter import mounted_python
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run import lifecycle as module
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.lifecycle import begin
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal, runs, start_time
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.lock import Waiting
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.owner import Home
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.candidates import announce
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.cleanup import (
    abandoned_runs,
    clear_ended_runs,
)
from fake_engine import FakeEngine

HOME = Home("/home/me/shop/inventory", "here", "me", ("web web",))


def add(engine, image, created_by, *, named="", layers=("sha256:a",), size=1, **more):
    names = [] if named is None else [named or f"web:{image[7:]}"]
    prefixed = {labels.PREFIX + name: value for name, value in more.items()}
    engine.add(image, prefixed, *names, created_by=created_by, layer_size=size, layers=layers)


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def mark_killed(journal):
    path = journal.folder / "holder"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"birth": "another"}))
    return journal


def images_of_chain(engine, **repositories):
    return provenance.images_of_chain(engine, "demo", repositories or {"web": {"web"}}, engine.images.snapshot().names)


def test_the_last_history_entry_decides_whether_an_image_is_a_tier(engine):
    fields = {"chain": "demo", "tier": "web"}
    add(engine, "sha256:ours", "tierwright: tier web: role web", size=7, **fields)
    add(engine, "sha256:built", "/bin/sh -c #(nop)  ENV THEIRS=yes", **fields)
    add(engine, "sha256:other-tier", "tierwright: tier website: role website", **fields)
    add(engine, "sha256:other-chain", "tierwright: tier web: role web", chain="elsewhere", tier="web")
    assert images_of_chain(engine) == [provenance.ChainImage("sha256:ours", "web", 7)]


def test_an_image_belongs_to_the_chain_only_in_a_repository_of_its_tier(engine):
    """A different project may have a chain or a tier with the same name."""
    created_by = "tierwright: tier web: role web"
    for image, named in (("ours", "web:key-1"), ("former", "old/web:key-1")):
        add(engine, image, created_by, named=named, chain="demo", tier="web")
    add(engine, "theirs", created_by, named="theirs/web:key-1", chain="demo", tier="web")
    add(engine, "another-tier", "tierwright: tier shop: role shop", named="web:key-2", chain="demo", tier="shop")
    add(engine, "nameless", created_by, named=None, chain="demo", tier="web")
    assert [image.id for image in images_of_chain(engine, web={"web", "old/web"})] == ["ours", "former"]


def test_shared_layers_are_not_counted_as_freed(engine):
    fields = {"chain": "demo", "tier": "web"}
    add(engine, "sha256:1", "tierwright: tier web: role web", layers=("a", "b"), size=10, **fields)
    add(engine, "sha256:2", "tierwright: tier web: role web", layers=("a", "b", "c"), size=5, **fields)
    add(engine, "sha256:3", "tierwright: tier web: role web", layers=("a", "b", "c"), size=5, **fields)
    images = {image.id: image for image in images_of_chain(engine)}
    assert provenance.freed(engine, [images["sha256:2"]]) == 0  # the third image has the same layer
    assert provenance.freed(engine, [images["sha256:2"], images["sha256:3"]]) == 5
    assert provenance.freed(engine, list(images.values())) == 15


def test_images_that_a_killed_run_sealed_are_removed_and_others_stay(engine):
    """Two users build. The state folder of one of them contains the journal of a killed run."""
    created_by, fields = "tierwright: tier web: role web", {"chain": "demo", "tier": "web"}
    mine, killed_journal = Journal.begin("demo"), mark_killed(Journal.begin("demo"))
    add(engine, "sha256:named", created_by, **fields)
    add(engine, "sha256:held", created_by, named=f"web:{tags.building(killed_journal.run)}", **fields)
    add(engine, "sha256:not-held-yet", created_by, named=None, **fields)
    announce(killed_journal, "web", "sha256:not-held-yet")
    add(engine, "sha256:made-by-both", created_by, named=f"db:{tags.building(killed_journal.run)}", **fields)
    engine.world.names["db:building-20261129T000000Z-0123abcd"] = "sha256:made-by-both"
    announce(killed_journal, "db", "sha256:made-by-both")
    add(engine, "sha256:of-another-run", created_by, named="web:building-20261129T000000Z-89abcdef", **fields)
    add(engine, "sha256:of-an-older-version", created_by, named=None, **fields)
    assert clear_ended_runs(engine, "demo", but=mine) == [killed_journal.run]
    assert set(engine.world.images) == {
        "sha256:named", "sha256:made-by-both", "sha256:of-another-run", "sha256:of-an-older-version"
    }  # fmt: skip
    assert engine.world.names_of("sha256:made-by-both") == ["db:building-20261129T000000Z-0123abcd"]
    assert [run.run for run in runs("demo")] == [mine.run]


def test_a_candidate_of_a_killed_run_of_an_older_version_is_removed(engine):
    killed_journal = mark_killed(Journal.begin("demo"))
    add(engine, "sha256:candidate", "tierwright: tier web: role web", named=None, chain="demo", tier="web")
    killed_journal.write("candidate", "web", {"image": "sha256:candidate", "reason": "", "tag": None})
    clear_ended_runs(engine, "demo", but=Journal.begin("demo"))
    assert engine.world.images == {}


def test_an_image_that_a_user_committed_from_a_build_container_stays(engine):
    """A commit inherits the labels of the run, and its containers inherit them from the commit."""
    killed_journal = mark_killed(Journal.begin("demo"))
    fields = {"run": killed_journal.run, "tier": "web"}
    add(engine, "sha256:stage", "tierwright: build", named=None, **fields)
    add(engine, "sha256:commit", "sh", named=None, **fields)
    for image in ("sha256:stage", "sha256:commit"):
        container_labels = {labels.RUN: killed_journal.run, labels.TIER: "web"}
        engine.world.add_container(f"container of {image}", container_labels, image)
    clear_ended_runs(engine, "demo", but=Journal.begin("demo"))
    assert set(engine.world.images) == {"sha256:commit"}
    assert list(engine.world.containers) == ["container of sha256:commit"]


def abandoned_of(engine):
    return abandoned_runs(engine, "demo", {"web": {"web"}}, engine.images.snapshot().names)


@pytest.mark.parametrize(("hours", "abandoned"), [(25, True), (23, False)])
def test_an_unknown_run_is_abandoned_after_a_day(engine, hours, abandoned):
    run = f"{datetime.now(UTC) - timedelta(hours=hours):%Y%m%dT%H%M%SZ}-0"
    for chain in ("demo", "elsewhere"):
        container_labels = {
            labels.CHAIN: chain,
            labels.TIER: "web",
            labels.RUN: run if chain == "demo" else "20200101T000000Z-0",
        }
        engine.world.add_container(chain, container_labels)
    assert abandoned_of(engine) == ([run] if abandoned else [])


def test_a_hold_in_a_foreign_repository_does_not_make_a_run_abandoned(engine):
    add(engine, "sha256:theirs", "x", named="theirs:building-20200101T000000Z-0123abcd", chain="demo", tier="theirs")
    assert abandoned_of(engine) == []
    add(engine, "sha256:ours", "x", named="web:building-20200101T000000Z-0123abcd", chain="demo", tier="web")
    assert abandoned_of(engine) == ["20200101T000000Z-0123abcd"]


def test_networks_of_tests_are_removed_with_their_run(engine):
    mine, killed_journal = Journal.begin("demo"), mark_killed(Journal.begin("demo"))
    for run in (mine.run, killed_journal.run):
        engine.world.add_network(run, {labels.CHAIN: "demo", labels.RUN: run})
    clear_ended_runs(engine, "demo", but=mine)
    assert list(engine.world.networks) == [mine.run]


def test_a_run_that_left_only_a_network_is_abandoned(engine):
    run = "20200101T000000Z-0"
    engine.world.add_network("n", {labels.CHAIN: "demo", labels.TIER: "web", labels.RUN: run})
    assert abandoned_of(engine) == [run]


def test_the_start_time_of_a_run_can_be_read_from_its_id():
    assert abs(datetime.now(UTC) - start_time(Journal.begin("demo").run)) < timedelta(seconds=10)
    assert abs(datetime.now(UTC) - start_time("of another form")) < timedelta(seconds=10)


def test_an_interpreter_is_needed_while_a_tier_can_be_built_with_it(engine, make_image):
    add(engine, "sha256:base", "x", layers=("a",), family="debian")
    add(engine, "sha256:above", "x", layers=("a", "b"), family="debian")
    for python_source in mounted_python.python_sources(make_image("sha256:above", {}, "a", "b")):
        name = mounted_python.volume_name(python_source)
        engine.world.volumes |= {name: {labels.PYTHON: name}, f"{name}-1": {labels.PYTHON: name, labels.RUN: "r"}}
    engine.world.volumes["old"] = {labels.PYTHON: "old"}
    assert mounted_python.unused_interpreters(engine) == ["old"]
    assert len(mounted_python.unused_interpreters(engine, without={"sha256:above"})) == 3
    assert len(mounted_python.unused_interpreters(engine, without={"sha256:above", "sha256:base"})) == 5


@pytest.mark.parametrize("run", ["20200101T000000Z-../../../x", "/etc", "20200101T000000Z-/x", ""])
def test_a_label_that_is_not_a_run_id_is_ignored(engine, run):
    engine.world.add_container("it", {labels.CHAIN: "demo", labels.TIER: "web", labels.RUN: run})
    assert abandoned_of(engine) == []


def test_a_run_that_cannot_begin_leaves_no_journal(engine, monkeypatch):
    def refuse(*_arguments):
        raise EngineError("the engine says no")

    monkeypatch.setattr(module, "recover", refuse)
    with pytest.raises(EngineError, match="says no"):
        begin(engine, "demo", HOME, "mine", Waiting(0, print))
    assert list(runs("demo")) == []


def test_the_start_of_a_run_removes_what_killed_runs_left_behind(engine):
    killed_journal = mark_killed(Journal.begin("demo"))
    lines = []
    journal = begin(engine, "demo", HOME, "mine", Waiting(0, lines.append))
    assert [run.run for run in runs("demo")] == [journal.run]
    assert lines == [f"removed what the killed run {killed_journal.run} left behind"]
