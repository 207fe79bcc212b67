"""The tags of a publication: consumers are asked first, and `candidate` is never older than the release."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ContractError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.verdicts import ConsumerVerdict
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.parent_process import ParentProcess
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.consumers import Consumers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publication import Publication
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publish import PublishedTier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.registry_tags import RegistryMove
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.tell_verdict import tell_verdict
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client, registry_writer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from fake_engine import FakeEngine
from fake_registry import fake_registry
from published_images import publish, tier_layer

TIERS = ("base", "core")


class World:
    """Two tiers whose second version is in the registry, and whose release tags name the first one."""

    def __init__(self, registry, make_tier):
        self.registry, self.lines = registry, []
        self.chain = Chain(
            make_tier(name, parent, image=f"{registry.host}/ops/{name}")
            for name, parent in zip(TIERS, (None, "base"), strict=True)
        )
        self.old = {name: self.put(name, "latest", 1) for name in TIERS}
        self.new = {name: self.put(name, "new", 2) for name in TIERS}
        self.publication = Publication(
            FakeEngine(), "chain", self.chain, Registries(), lambda _name: None, self.lines.append, ParentProcess()
        )

    def put(self, name, tag, version):
        return publish(self.registry, f"ops/{name}", tag, [tier_layer(version)], owners=[name])[0]

    def published(self, name, tag="latest"):
        before, after = self.registry.tags.get((f"ops/{name}", tag)), self.new[name]
        move = RegistryMove(self.registry.host, f"ops/{name}", tag, before, after, name)
        return PublishedTier(self.chain[name], None, after, 0, (move,) if before != after else ())

    def tell(self, name, *, passed):
        verdict = ConsumerVerdict(self.chain[name].image, self.new[name], "shop", "development", passed, 1)
        tell_verdict(RegistryWriter(self.registry.host), "dev/shop", verdict)

    def consumers(self, *names):
        return {name: Consumers((f"{self.registry.host}/dev/shop",), 1, 0.0) for name in names}

    def tag(self, name, tag="latest"):
        return self.registry.tags.get((f"ops/{name}", tag))


@pytest.fixture
def world(monkeypatch, tmp_path, make_tier):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(registry_client, "_DELAYS", ())
    monkeypatch.setattr(registry_writer, "_LOOKS", (0,))
    with fake_registry() as registry:
        yield World(registry, make_tier)


def test_a_no_moves_only_the_tag_candidate(world):
    published = [world.published(name) for name in TIERS]
    world.tell("core", passed=False)
    with pytest.raises(ContractError, match="says no"):
        world.publication.ask(published, world.consumers("core"))
    assert {name: world.tag(name) for name in TIERS} == world.old
    assert (world.tag("core", "candidate"), world.tag("base", "candidate")) == (world.new["core"], None)


def test_a_yes_lets_all_tags_move(world):
    published = [world.published(name) for name in TIERS]
    world.tell("core", passed=True)
    world.publication.ask(published, world.consumers("core"))
    assert {name: world.tag(name) for name in TIERS} == world.old
    assert world.publication.move(published)
    assert {name: world.tag(name) for name in TIERS} == world.new
    assert (world.tag("core", "candidate"), world.tag("base", "candidate")) == (world.new["core"], None)


def test_tiers_that_are_released_already_are_not_asked_about(world):
    world.registry.tags["ops/core", "latest"] = world.new["core"]
    world.publication.ask([world.published("core")], world.consumers("core"))
    assert world.tag("core", "candidate") is None


def test_a_release_takes_an_earlier_candidate_with_it(world):
    world.put("core", "candidate", 3)
    assert world.publication.move([world.published(name) for name in TIERS])
    assert (world.tag("core", "candidate"), world.tag("base", "candidate")) == (world.new["core"], None)


def test_a_candidate_that_was_offered_meanwhile_stays(world):
    published = [world.published("core")]
    world.tell("core", passed=True)
    world.publication.ask(published, world.consumers("core"))
    newer = world.put("core", "candidate", 3)
    world.publication.move(published)
    assert (world.tag("core"), world.tag("core", "candidate")) == (world.new["core"], newer)


def test_a_candidate_moves_no_other_tag(world):
    world.put("core", "candidate", 3)
    world.publication.move([world.published("core", "candidate")])
    assert (world.tag("core"), world.tag("core", "candidate")) == (world.old["core"], world.new["core"])
