"""What killed and abandoned runs left, and who made an image."""

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


def add(engine, image, created_by, *, named="", layers=("sha256:a",), size=1, **said):
    names = [] if named is None else [named or f"web:{image[7:]}"]
    prefixed = {labels.PREFIX + name: value for name, value in said.items()}
    engine.add(image, prefixed, *names, by=created_by, own=size, layers=layers)


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def killed(journal):
    path = journal.folder / "holder"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"birth": "another"}))
    return journal


def own_of(engine, **owned):
    return provenance.images_of_chain(engine, "demo", owned or {"web": {"web"}}, engine.images.snapshot().names)


def test_an_image_is_ours_if_the_top_of_its_history_is(engine):
    said = {"chain": "demo", "tier": "web"}
    add(engine, "sha256:ours", "tierwright: tier web: role web", size=7, **said)
    add(engine, "sha256:built", "/bin/sh -c #(nop)  ENV THEIRS=yes", **said)
    add(engine, "sha256:other-tier", "tierwright: tier website: role website", **said)
    add(engine, "sha256:other-chain", "tierwright: tier web: role web", chain="elsewhere", tier="web")
    assert own_of(engine) == [provenance.ChainImage("sha256:ours", "web", 7)]


def test_an_image_is_ours_if_it_lies_in_a_repository_of_its_tier(engine):
    """Another project may have called its chain the same, or a tier."""
    by = "tierwright: tier web: role web"
    for image, named in (("ours", "web:key-1"), ("former", "old/web:key-1")):
        add(engine, image, by, named=named, chain="demo", tier="web")
    add(engine, "theirs", by, named="theirs/web:key-1", chain="demo", tier="web")
    add(engine, "another-tier", "tierwright: tier shop: role shop", named="web:key-2", chain="demo", tier="shop")
    add(engine, "nameless", by, named=None, chain="demo", tier="web")
    assert [each.id for each in own_of(engine, web={"web", "old/web"})] == ["ours", "former"]


def test_layers_that_another_image_has_are_not_freed(engine):
    said = {"chain": "demo", "tier": "web"}
    add(engine, "sha256:1", "tierwright: tier web: role web", layers=("a", "b"), size=10, **said)
    add(engine, "sha256:2", "tierwright: tier web: role web", layers=("a", "b", "c"), size=5, **said)
    add(engine, "sha256:3", "tierwright: tier web: role web", layers=("a", "b", "c"), size=5, **said)
    going = {each.id: each for each in own_of(engine)}
    assert provenance.freed(engine, [going["sha256:2"]]) == 0  # the third has the layer as well
    assert provenance.freed(engine, [going["sha256:2"], going["sha256:3"]]) == 5
    assert provenance.freed(engine, list(going.values())) == 15


def test_what_a_killed_run_sealed_goes_and_what_others_seal_stays(engine):
    """Two users build; the state folder of one holds a journal of a run that was killed."""
    by, said = "tierwright: tier web: role web", {"chain": "demo", "tier": "web"}
    mine, gone = Journal.begin("demo"), killed(Journal.begin("demo"))
    add(engine, "sha256:named", by, **said)
    add(engine, "sha256:held", by, named=f"web:{tags.building(gone.run)}", **said)
    add(engine, "sha256:not-held-yet", by, named=None, **said)
    announce(gone, "web", "sha256:not-held-yet")
    add(engine, "sha256:made-by-both", by, named=f"db:{tags.building(gone.run)}", **said)
    engine.world.names["db:building-20261129T000000Z-0123abcd"] = "sha256:made-by-both"
    announce(gone, "db", "sha256:made-by-both")
    add(engine, "sha256:of-another-run", by, named="web:building-20261129T000000Z-89abcdef", **said)
    add(engine, "sha256:of-an-older-version", by, named=None, **said)
    assert clear_ended_runs(engine, "demo", but=mine) == [gone.run]
    assert set(engine.world.images) == {
        "sha256:named", "sha256:made-by-both", "sha256:of-another-run", "sha256:of-an-older-version"
    }  # fmt: skip
    assert engine.world.names_of("sha256:made-by-both") == ["db:building-20261129T000000Z-0123abcd"]
    assert [each.run for each in runs("demo")] == [mine.run]


def test_a_candidate_of_a_run_that_an_older_version_began_goes(engine):
    gone = killed(Journal.begin("demo"))
    add(engine, "sha256:candidate", "tierwright: tier web: role web", named=None, chain="demo", tier="web")
    gone.write("candidate", "web", {"image": "sha256:candidate", "reason": "", "tag": None})
    clear_ended_runs(engine, "demo", but=Journal.begin("demo"))
    assert engine.world.images == {}


def test_what_somebody_made_of_a_build_container_stays(engine):
    """A commit inherits the run's labels, and a container of it inherits them from there."""
    gone = killed(Journal.begin("demo"))
    said = {"run": gone.run, "tier": "web"}
    add(engine, "sha256:stage", "tierwright: build", named=None, **said)
    add(engine, "sha256:commit", "sh", named=None, **said)
    for image in ("sha256:stage", "sha256:commit"):
        marked = {labels.RUN: gone.run, labels.TIER: "web"}
        engine.world.run(f"container of {image}", marked, image)
    clear_ended_runs(engine, "demo", but=Journal.begin("demo"))
    assert set(engine.world.images) == {"sha256:commit"}
    assert list(engine.world.containers) == ["container of sha256:commit"]


def abandoned_of(engine):
    return abandoned_runs(engine, "demo", {"web": {"web"}}, engine.images.snapshot().names)


@pytest.mark.parametrize(("hours", "abandoned"), [(25, True), (23, False)])
def test_a_run_that_nobody_knows_is_abandoned_after_a_day(engine, hours, abandoned):
    run = f"{datetime.now(UTC) - timedelta(hours=hours):%Y%m%dT%H%M%SZ}-0"
    for chain in ("demo", "elsewhere"):
        said = {labels.CHAIN: chain, labels.TIER: "web", labels.RUN: run if chain == "demo" else "20200101T000000Z-0"}
        engine.world.run(chain, said)
    assert abandoned_of(engine) == ([run] if abandoned else [])


def test_what_a_run_holds_where_no_tier_of_ours_is_makes_it_no_abandoned_one(engine):
    add(engine, "sha256:theirs", "x", named="theirs:building-20200101T000000Z-0123abcd", chain="demo", tier="theirs")
    assert abandoned_of(engine) == []
    add(engine, "sha256:ours", "x", named="web:building-20200101T000000Z-0123abcd", chain="demo", tier="web")
    assert abandoned_of(engine) == ["20200101T000000Z-0123abcd"]


def test_networks_of_tests_go_with_the_run_that_they_were_made_in(engine):
    mine, gone = Journal.begin("demo"), killed(Journal.begin("demo"))
    for run in (mine.run, gone.run):
        engine.world.connect(run, {labels.CHAIN: "demo", labels.RUN: run})
    clear_ended_runs(engine, "demo", but=mine)
    assert list(engine.world.networks) == [mine.run]


def test_a_network_alone_makes_a_run_an_abandoned_one(engine):
    run = "20200101T000000Z-0"
    engine.world.connect("n", {labels.CHAIN: "demo", labels.TIER: "web", labels.RUN: run})
    assert abandoned_of(engine) == [run]


def test_a_run_tells_when_it_began():
    assert abs(datetime.now(UTC) - start_time(Journal.begin("demo").run)) < timedelta(seconds=10)
    assert abs(datetime.now(UTC) - start_time("of another form")) < timedelta(seconds=10)


def test_an_interpreter_is_needed_by_what_can_be_built_on(engine, make_image):
    add(engine, "sha256:base", "x", layers=("a",), family="debian")
    add(engine, "sha256:above", "x", layers=("a", "b"), family="debian")
    for ground in mounted_python.python_sources(make_image("sha256:above", {}, "a", "b")):
        name = mounted_python.volume_name(ground)
        engine.world.volumes |= {name: {labels.PYTHON: name}, f"{name}-1": {labels.PYTHON: name, labels.RUN: "r"}}
    engine.world.volumes["old"] = {labels.PYTHON: "old"}
    assert mounted_python.unused_interpreters(engine) == ["old"]
    assert len(mounted_python.unused_interpreters(engine, without={"sha256:above"})) == 3
    assert len(mounted_python.unused_interpreters(engine, without={"sha256:above", "sha256:base"})) == 5


@pytest.mark.parametrize("run", ["20200101T000000Z-../../../x", "/etc", "20200101T000000Z-/x", ""])
def test_a_label_of_another_form_is_no_run_and_no_path(engine, run):
    engine.world.run("it", {labels.CHAIN: "demo", labels.TIER: "web", labels.RUN: run})
    assert abandoned_of(engine) == []


def test_a_run_that_cannot_begin_leaves_no_journal(engine, monkeypatch):
    def refuses(*_given):
        raise EngineError("the engine says no")

    monkeypatch.setattr(module, "recover", refuses)
    with pytest.raises(EngineError, match="says no"):
        begin(engine, "demo", HOME, "mine", Waiting(0, print))
    assert list(runs("demo")) == []


def test_a_run_begins_alone_with_nothing_left_by_others(engine):
    gone = killed(Journal.begin("demo"))
    said = []
    journal = begin(engine, "demo", HOME, "mine", Waiting(0, said.append))
    assert [each.run for each in runs("demo")] == [journal.run]
    assert said == [f"removed what the killed run {gone.run} left behind"]
