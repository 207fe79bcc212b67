"""Records are attached to published images as cosign stores them: once, complete, and before a tag moves."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.image_identity import ImageIdentity
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.registry_records import (
    RegistryPlace,
    RegistryRecords,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import Image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError, EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.parent_process import ParentProcess
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publication import (
    Publication,
    SignedParts,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publish_records import RecordPublisher
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import BUNDLE
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client, registry_writer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.referrers import fallback_tag
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from fake_registry import digest, fake_registry
from made_images import config, docker_save, layer, tier_step
from made_records import KeyInMemory, made_bundle
from published_images import identity

pytestmark = pytest.mark.once

KEY = KeyInMemory()
LAYERS = [layer((f"etc/{name}", name.encode())) for name in ("base", "core", "web")]


class Engine:
    """An engine with an image for each tier, each on the one before."""

    def __init__(self):
        self.images, self.exports = self, 0
        self.held, self.documents, parent = {}, {}, {}
        for count, name in enumerate(("base", "core", "web"), start=1):
            own = {**identity(name), **parent}
            document = config(LAYERS[:count], [tier_step(f"t{each}", "ops") for each in range(count)], Labels=own)
            image = Image(digest(document), own, tuple(map(digest, LAYERS[:count])), {}, (), 1, "amd64", "linux")
            self.held[name], self.documents[image.id] = image, (document, LAYERS[:count])
            parent = {labels.PARENT: image.id}

    def find(self, reference):
        return next((image for image in self.held.values() if image.id == reference), None)

    def save(self, image):
        self.exports += 1
        return iter([layer(*docker_save({"x:latest": self.documents[image]}).items())])


class World:
    """A chain base, core, web, of which core and web have repositories."""

    def __init__(self, registry, make_tier):
        self.registry, self.engine, self.lines = registry, Engine(), []
        self.registries, self.records = Registries(), LocalRecords(self.lines.append)
        self.chain = Chain(
            [
                make_tier("base", None, image="base"),
                make_tier("core", "base", image=f"{registry.host}/ops/core"),
                make_tier("web", "core", image=f"{registry.host}/mid/web"),
            ]
        )
        self.manifests = {}

    def sign(self, name, kind="https://example.org/test/v1"):
        """Store a record of the image of a tier, and return its bytes."""
        bundle = made_bundle(KEY, self.engine.held[name].id, kind)
        self.records.add(self.engine.held[name].id, bundle)
        return bundle

    def publication(self, *, records):
        return Publication(
            self.engine,
            "chain",
            self.chain,
            self.registries,
            lambda _name: None,
            self.lines.append,
            ParentProcess(),
            SignedParts(self.records if records else None),
        )

    def send(self, *names, records=True):
        targets = [self.chain[name] for name in names or ("core", "web")]
        published = self.publication(records=records).send(
            targets, lambda tier: self.engine.held[tier.name], lambda tier, _image: [tier.tag]
        )
        self.manifests |= {each.tier.name: each.manifest for each in published}
        return published

    def attach(self, published):
        connect = self.registries.writer
        return RecordPublisher(self.engine, self.chain, self.records, connect, self.lines.append).attach_records(
            published
        )

    def read(self, name, repository, manifest=None):
        """The records of a tier's image that a reader finds in a repository."""
        image = self.engine.held[name]
        place = RegistryPlace(self.registries.reader(self.registry.host), repository, self.manifests[repository[4:]])
        source = RegistryRecords([place], pytest.fail)
        wanted = ImageIdentity(image.id, manifest or self.manifests[name], image.layers, image.labels, name)
        return sorted(bundle for _title, bundle in source.bundles(wanted))

    def index(self, repository, manifest):
        tag = self.registry.tags[repository, fallback_tag(manifest)]
        return json.loads(self.registry.manifests[repository, tag])["manifests"]


@pytest.fixture
def world(monkeypatch, tmp_path, make_tier):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(registry_client, "_DELAYS", ())
    monkeypatch.setattr(registry_writer, "_LOOKS", (0,))
    with fake_registry() as registry:
        yield World(registry, make_tier)


@pytest.mark.parametrize("referrers", [True, False], ids=["referrers", "fallback tag"])
def test_a_reader_finds_what_was_published(world, referrers):
    world.registry.referrers = referrers
    core, web = [world.sign("core"), world.sign("core", "other")], [world.sign("web")]
    world.send()
    assert [line for line in world.lines if "attached" in line] == [
        "core: 2 signed statements attached in the registry",
        "web: 1 signed statement attached in the registry",
    ]
    assert world.read("core", "ops/core") == sorted(core)
    assert world.read("web", "mid/web") == web


def test_without_records_no_request_is_made_for_them(world):
    world.send(records=False)
    world.registry.requests.clear()
    world.send(records=False)
    without = list(world.registry.requests)
    world.registry.requests.clear()
    world.send()
    assert world.registry.requests == without


def test_nothing_is_written_if_nothing_is_new(world):
    for name in ("base", "core", "web"):
        for kind in ("one", "two", "three"):
            world.sign(name, kind)
    world.send()
    published, exports = world.send(), world.engine.exports
    world.registry.requests.clear()
    assert world.attach(published) == 0
    assert {method for method, _path in world.registry.requests} == {"GET", "HEAD"}
    assert world.engine.exports == exports


def test_a_new_record_is_added_to_those_that_are_there(world):
    first = world.sign("core")
    world.send("core")
    second = world.sign("core", "other")
    assert world.attach(world.send("core", records=False)) == 1
    assert world.read("core", "ops/core") == sorted([first, second])
    assert [each["artifactType"] for each in world.index("ops/core", world.manifests["core"])][1:] == [BUNDLE, BUNDLE]


def test_two_machines_write_the_same_bytes(world, make_tier):
    world.sign("core")
    world.send("core")
    with fake_registry() as registry:
        other = World(registry, make_tier)
        other.send("core")
        assert registry.manifests.keys() == world.registry.manifests.keys()


def test_entries_of_others_stay(world):
    world.sign("core")
    (published,) = world.send("core", records=False)
    theirs = {"digest": digest(b"theirs"), "artifactType": "application/vnd.oci.empty.v1+json", "size": 7, "x": "y"}
    index = json.dumps({"schemaVersion": 2, "manifests": [theirs]}).encode()
    world.registry.put("ops/core", fallback_tag(published.manifest), index)
    world.attach([published])
    assert world.index("ops/core", published.manifest)[0] == theirs


def test_a_record_that_is_listed_but_was_removed_is_written_again(world):
    bundle = world.sign("core")
    published = world.send("core")
    (artifact,) = [
        each["digest"] for each in world.index("ops/core", published[0].manifest) if each["artifactType"] == BUNDLE
    ]
    del world.registry.manifests["ops/core", artifact]
    assert world.attach(published) == 1
    assert world.read("core", "ops/core") == [bundle]


def test_the_records_of_an_ancestor_without_repository_travel_with_its_descendant(world):
    base = world.sign("base")
    world.send()
    manifest = next(
        each
        for (repository, each), content in world.registry.manifests.items()
        if repository == "ops/core"
        and json.loads(content).get("config", {}).get("digest") == world.engine.held["base"].id
    )
    assert world.read("base", "ops/core", manifest) == [base]
    assert ("mid/web", manifest) not in world.registry.manifests  # its parent has a repository of its own


def test_a_damaged_local_record_is_skipped_with_one_line(world):
    world.sign("core")
    path = world.records.add(world.engine.held["core"].id, made_bundle(KEY, digest(b"x")))
    path.write_bytes(b"x")
    assert world.attach(world.send("core", records=False)) == 1
    assert any("it is ignored" in line for line in world.lines)


def test_a_record_without_statement_is_an_error_that_names_tier_and_file(world):
    (published,) = world.send("core", records=False)
    world.records = SimpleNamespace(bundles=lambda _image: iter([("/records/x.json", b"{}")]))
    with pytest.raises(DamagedError, match=r"tier 'core': the records of its image: /records/x.json is damaged"):
        world.attach([published])


@pytest.mark.parametrize("part", ["/referrers/", "/blobs/uploads/", "/manifests/sha256-"])
def test_a_registry_that_fails_stops_the_publication_before_tags_move(world, part):
    world.sign("core")
    world.send("core", records=False)
    world.registry.fault = lambda _method, path: 500 if part in path else None
    with pytest.raises(EngineError, match=r"tier 'core'"):
        world.send("core")
    assert ("ops/core", "latest") not in world.registry.tags


def test_a_list_of_ten_thousand_bundles_stops_the_publication(world):
    world.sign("core")
    (published,) = world.send("core", records=False)
    entries = [{"digest": digest(b"%d" % each), "artifactType": BUNDLE} for each in range(10_000)]
    world.registry.put("ops/core", fallback_tag(published.manifest), json.dumps({"manifests": entries}).encode())
    with pytest.raises(DamagedError, match="at most 1000 are allowed"):
        world.attach([published])
