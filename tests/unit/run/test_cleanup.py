"""What killed and abandoned runs left, and who made an image."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils.errors import EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils.image import interpreter, labels, own
from ansible_collections.tierwright.chain.plugins.plugin_utils.run import begin as module
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.begin import begin
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.cleanup import abandoned_runs, clear_ended_runs
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.journal import Journal, began, runs
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.turn import Waiting


class Engine:
    """Images with labels and a history, containers and volumes, as an engine lists them."""

    def __init__(self):
        self.api = self
        self.made: dict[str, dict] = {}
        self.running: list[dict] = []
        self.made_volumes: dict[str, dict[str, str]] = {}
        self.made_networks: list[dict] = []

    def add(self, image, created_by, *, named=True, layers=("sha256:a",), size=1, **said):
        self.made[image] = {
            "labels": {labels.PREFIX + name: value for name, value in said.items()},
            "history": [{"CreatedBy": created_by, "Size": size}],
            "named": named,
            "layers": layers,
        }

    def images(self, filters=None):
        wanted = (filters or {}).get("label", [])
        return [
            {"Id": image, "Labels": each["labels"], "RepoTags": []}
            for image, each in self.made.items()
            if all(_has(each["labels"], label) for label in wanted)
            and not (each["named"] and (filters or {}).get("dangling"))
        ]

    def history(self, image):
        return self.made[image]["history"]

    def inspect_image(self, image):
        return {"Id": image, "RootFS": {"Layers": self.made[image]["layers"]}, "Config": {}}

    def remove_image(self, image):
        del self.made[image]

    def containers(self, filters, **_how):
        return [each for each in self.running if _has(each["Labels"], filters["label"])]

    def networks(self, filters):
        return [each for each in self.made_networks if _has(each["Labels"], filters["label"])]

    def remove_network(self, network):
        self.made_networks = [each for each in self.made_networks if each["Id"] != network]

    def volumes(self, filters):
        found = {name: said for name, said in self.made_volumes.items() if _has(said, filters["label"])}
        return {"Volumes": [{"Name": name, "Labels": said} for name, said in found.items()]}


def _has(said, label):
    name, _, value = label.partition("=")
    return name in said and (not value or said[name] == value)


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def killed(journal):
    path = journal.folder / "holder"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"birth": "another"}))
    return journal


def test_an_image_is_ours_if_the_top_of_its_history_is(engine):
    said = {"chain": "demo", "tier": "web"}
    engine.add("sha256:ours", "tierwright: tier web: role web", size=7, **said)
    engine.add("sha256:built", "/bin/sh -c #(nop)  ENV THEIRS=yes", **said)
    engine.add("sha256:other-tier", "tierwright: tier website: role website", **said)
    engine.add("sha256:other-chain", "tierwright: tier web: role web", chain="elsewhere", tier="web")
    assert own.of_chain(engine, "demo") == [own.Own("sha256:ours", "web", 7)]


def test_layers_that_another_image_has_are_not_freed(engine):
    said = {"chain": "demo", "tier": "web"}
    engine.add("sha256:1", "tierwright: tier web: role web", layers=("a", "b"), size=10, **said)
    engine.add("sha256:2", "tierwright: tier web: role web", layers=("a", "b", "c"), size=5, **said)
    engine.add("sha256:3", "tierwright: tier web: role web", layers=("a", "b", "c"), size=5, **said)
    going = {each.id: each for each in own.of_chain(engine, "demo")}
    assert own.freed(engine, [going["sha256:2"]]) == 0  # the third has the layer as well
    assert own.freed(engine, [going["sha256:2"], going["sha256:3"]]) == 5
    assert own.freed(engine, list(going.values())) == 15


def test_what_a_killed_run_sealed_and_did_not_name_goes(engine):
    said = {"chain": "demo", "tier": "web"}
    for image, named in (("sha256:named", True), ("sha256:nameless", False)):
        engine.add(image, "tierwright: tier web: role web", named=named, **said)
    engine.add("sha256:theirs", "/bin/sh -c true", named=False, **said)
    mine = Journal.begin("demo")
    assert clear_ended_runs(engine, "demo", but=mine) == []
    assert len(engine.made) == 3
    gone = killed(Journal.begin("demo"))
    assert clear_ended_runs(engine, "demo", but=mine) == [gone.run]
    assert set(engine.made) == {"sha256:named", "sha256:theirs"}
    assert [each.run for each in runs("demo")] == [mine.run]


@pytest.mark.parametrize(("hours", "abandoned"), [(25, True), (23, False)])
def test_a_run_that_nobody_knows_is_abandoned_after_a_day(engine, hours, abandoned):
    run = f"{datetime.now(UTC) - timedelta(hours=hours):%Y%m%dT%H%M%SZ}-0"
    for chain in ("demo", "elsewhere"):
        said = {labels.CHAIN: chain, labels.RUN: run if chain == "demo" else "20200101T000000Z-0"}
        engine.running.append({"Id": chain, "Labels": said})
    assert abandoned_runs(engine, "demo") == ([run] if abandoned else [])


def test_networks_of_tests_go_with_the_run_that_they_were_made_in(engine):
    mine, gone = Journal.begin("demo"), killed(Journal.begin("demo"))
    for run in (mine.run, gone.run):
        engine.made_networks.append({"Id": run, "Labels": {labels.CHAIN: "demo", labels.RUN: run}})
    clear_ended_runs(engine, "demo", but=mine)
    assert [each["Id"] for each in engine.made_networks] == [mine.run]


def test_a_network_alone_makes_a_run_an_abandoned_one(engine):
    run = "20200101T000000Z-0"
    engine.made_networks.append({"Id": "n", "Labels": {labels.CHAIN: "demo", labels.RUN: run}})
    assert abandoned_runs(engine, "demo") == [run]


def test_a_run_tells_when_it_began():
    assert abs(datetime.now(UTC) - began(Journal.begin("demo").run)) < timedelta(seconds=10)
    assert abs(datetime.now(UTC) - began("of another form")) < timedelta(seconds=10)


def test_an_interpreter_is_needed_by_what_can_be_built_on(engine, make_image):
    engine.add("sha256:base", "x", layers=("a",), family="debian")
    engine.add("sha256:above", "x", layers=("a", "b"), family="debian")
    for ground in interpreter.grounds(make_image("sha256:above", {}, "a", "b")):
        name = interpreter.name_of(ground)
        engine.made_volumes |= {name: {labels.PYTHON: name}, f"{name}-1": {labels.PYTHON: name, labels.RUN: "r"}}
    engine.made_volumes["old"] = {labels.PYTHON: "old"}
    assert interpreter.needless(engine) == ["old"]
    assert len(interpreter.needless(engine, without={"sha256:above"})) == 3
    assert len(interpreter.needless(engine, without={"sha256:above", "sha256:base"})) == 5


def test_a_run_that_cannot_begin_leaves_no_journal(engine, monkeypatch):
    def refuses(*_given):
        raise EngineError("the engine says no")

    monkeypatch.setattr(module, "recover", refuses)
    with pytest.raises(EngineError, match="says no"):
        begin(engine, "demo", "mine", Waiting(0, print))
    assert list(runs("demo")) == []


def test_a_run_begins_alone_with_nothing_left_by_others(engine):
    gone = killed(Journal.begin("demo"))
    said = []
    journal = begin(engine, "demo", "mine", Waiting(0, said.append))
    assert [each.run for each in runs("demo")] == [journal.run]
    assert said == [f"cleared what the killed run {gone.run} left behind"]
