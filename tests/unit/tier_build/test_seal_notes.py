"""Sealing a tier notes the facts about its build, under the image that the tier gets."""

from __future__ import annotations

import shutil

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import digest_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.repository_source import RepositorySource
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.source_version import Commit
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody import build_facts
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.build_facts import (
    BuildTools,
    ParentImage,
    noted_facts,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.manifest_digest import known_manifest
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import configuration, labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import FileEntry, FileKind
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.tar_writer import Layer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing import loading
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import BuildOrigin, write_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.tier_records import BuildRecord, write_build
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build import build
from fake_engine import FakeEngine

pytestmark = pytest.mark.once

ORIGIN = BuildOrigin(Commit("a" * 40, 1_700_000_000), RepositorySource("https://x", "main", clean=True), (), "ci-1")


def make(engine, identity, content, parent=None, epoch=9):
    """Load an image with one layer of its own, or with none if there is no content."""
    below = loading.Layers(parent.layers, donor=parent.id) if parent else loading.Layers(())

    def describe(layers):
        settings = {"architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z", "author": "x"}
        return configuration.document(config={"Labels": dict(identity)}, layers=layers, history=[], **settings)

    if not content:
        return loading.load(engine, describe(below.digests), below)
    layer = Layer([FileEntry(b"file", FileKind.FILE, 0o644, 0, 0, epoch, len(content), content=content)], epoch)
    return loading.load_new(engine, layer, below, lambda digest, _content: describe([*below.digests, digest]))


class Run:
    """A run that builds `web` on `core`."""

    def __init__(self, make_tier, monkeypatch):
        self.engine, self.journal = FakeEngine(), Journal.begin("shop")
        self.core, self.tier = make_tier("core"), make_tier("web", "core")
        self.parent = make(self.engine, labels.identity("shop", self.core, {}, "debian"), b"core")
        self.content, self.epoch = b"web", 9
        monkeypatch.setattr(build, "wait_for_jobs", lambda *_arguments: None)
        monkeypatch.setattr(build, "end_services", lambda *_arguments: None)
        monkeypatch.setattr(build.mounts, "check_volumes", lambda *_arguments, **_options: None)
        monkeypatch.setattr(build, "clear_build", lambda *_arguments: None)
        monkeypatch.setattr(build, "seal", self._seal)

    def _seal(self, engine, _container, spec, say):
        assert say
        identity = {**spec.identity, labels.CONTENT: f"sha256:{self.content.hex()}"}
        return make(engine, identity, self.content, spec.parent, self.epoch)

    def build(self, **parts):
        write_plan(self.journal, "shop", Decision(self.tier, Action.BUILD, (), None, parts), "web", ORIGIN)
        write_build(self.journal, "web", BuildRecord("c1", "stage", self.parent.id, 1_700_000_000, "core"))
        tools = BuildTools("2.19.1", {"acme.site": "1.0.0"})
        used = {"collection/acme.site": "1" * 32}
        return build.seal_tier(self.engine, self.journal, "web", {}, (), build.RoleUse(used, tools), say=pytest.fail)


@pytest.fixture
def run(make_tier, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Run(make_tier, monkeypatch)


def test_the_facts_describe_the_build(run):
    image = run.build(role="1")
    facts = noted_facts(LocalRecords(pytest.fail), image.id)
    parts = {"role": "1", "collection/acme.site": "1" * 32, "parent": run.parent.id}
    assert (facts.key, facts.parts) == (image.labels[labels.KEY], parts)
    assert facts.key == digest_key(parts)
    assert facts.parent == ParentImage("core", run.parent.id, known_manifest(run.parent))
    assert (facts.layer, facts.epoch, facts.run) == (image.layers[-1], 1_700_000_000, run.journal.run)
    assert (facts.commit, facts.source, facts.builder) == (ORIGIN.commit, ORIGIN.source, "ci-1")
    assert [each.uri for each in facts.materials] == ["pkg:ansible/acme.site@1.0.0"]
    assert facts.started <= facts.finished


def test_a_tier_without_changes_has_no_layer_of_its_own(run):
    run.content = b""
    assert noted_facts(LocalRecords(), run.build().id).layer is None


def release(run):
    """Release a build, and return its image and the facts about it. The next build has other times, but its content."""
    released = run.build(role="1")
    run.engine.images.tag(released.id, "web", "latest")
    run.epoch += 1
    return released, noted_facts(LocalRecords(), released.id)


def test_a_build_with_the_content_of_the_release_replaces_no_exact_facts(run):
    released, first = release(run)
    assert run.build(role="2").id == released.id
    assert noted_facts(LocalRecords(), released.id) == first
    assert LocalRecords().configs() == [released.id]


def test_a_build_with_the_content_of_a_release_without_facts_describes_the_release(run, tmp_path):
    released, first = release(run)
    shutil.rmtree(tmp_path / "tierwright/+records")
    assert run.build(role="2").id == released.id
    facts = noted_facts(LocalRecords(), released.id)
    assert facts.layer == released.layers[-1]
    assert facts.parts["role"] == "2"
    assert facts.epoch == released.created
    assert facts.built not in {None, released.id}
    assert facts.parent == first.parent


def test_an_equal_build_replaces_the_facts(run, monkeypatch):
    image = run.build(role="1")
    monkeypatch.setattr(build_facts, "user", lambda: "bob")
    assert run.build(role="1").id == image.id
    assert noted_facts(LocalRecords(), image.id).user == "bob"
