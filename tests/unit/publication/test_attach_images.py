"""Published images get their place in the chain: the parent that they were built on, by its published digest."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.attachments import (
    PublishedParent,
    find_attachment,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.attach_images import Attacher
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from fake_registry import fake_registry
from published_images import identity, protecting, publish, tier_layer

BASE, CORE, WEB = tier_layer(1), tier_layer(2), tier_layer(3)


@pytest.fixture(autouse=True)
def folders(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(registry_client, "_DELAYS", ())


class World:
    """A chain base, core, web, its engine, and a registry."""

    def __init__(self, registry, tmp_path):
        self.registry, self.tmp_path = registry, tmp_path
        self.images, self.lines, self.published = {}, [], []
        self.layers = []

    def image(self, tier, layer, parent=None, *, registry=True, tests="", **more):
        """Make the released image of a tier, in the registry unless said otherwise."""
        self.layers.append(layer)
        own = {**identity(tier), **more}
        if parent:
            own[labels.PARENT] = parent
        repository = f"ops/{tier}"
        name = f"{self.registry.host}/{repository}" if registry else tier
        owners = ["base", "core", "web"][: len(self.layers)]
        manifest, identifier = publish(
            self.registry,
            repository if registry else "elsewhere",
            "latest",
            self.layers,
            image_labels=own,
            owners=owners,
        )
        image = SimpleNamespace(id=identifier, labels=own, layers=())
        self.images[identifier] = image
        self.tiers = {**getattr(self, "tiers", {}), tier: (name, image, manifest)}
        if tests:
            folder = self.tmp_path / tier / "tests"
            folder.mkdir(parents=True)
            (folder / "test_contract.py").write_text(tests)
        return identifier

    def attach(self, *selected):
        """Attach to the images of tiers."""
        names = list(self.tiers)
        chain = Chain(
            [
                Tier(
                    name=name,
                    team="operations",
                    image=image,
                    tag="latest",
                    parent=names[number - 1] if number else None,
                )
                for number, (name, (image, _, _)) in enumerate(self.tiers.items())
            ]
        )
        engine = SimpleNamespace(images=SimpleNamespace(find=self.images.get))

        def tests(tier):
            folder = self.tmp_path / tier / "tests"
            return folder if folder.exists() else None

        published = [
            SimpleNamespace(tier=chain[name], image=self.tiers[name][1], manifest=self.tiers[name][2])
            for name in selected or names
            if self.registry.host in self.tiers[name][0]
        ]
        return Attacher(engine, chain, tests, Registries().writer, self.lines.append).attach_images(published)

    def place(self, tier):
        return find_attachment(Registries().reader(self.registry.host), f"ops/{tier}", self.tiers[tier][2]).place


@pytest.fixture
def world(tmp_path):
    with fake_registry() as registry:
        yield World(registry, tmp_path)


CONTRACT = "import pytest\n@pytest.mark.contract\ndef test_it(): pass\n"


def test_places_name_parents_by_digest_and_own_protected_paths(world):
    base = world.image("base", BASE)
    core = world.image("core", CORE, base, **protecting("core", "etc/motd"))
    world.image("web", WEB, core, **protecting("core", "etc/motd"))
    world.attach()
    place = world.place("core")
    assert (place.tier, place.team, place.chain, place.protects) == ("core", "operations", "ops", ("etc/motd",))
    assert place.parent == PublishedParent(f"{world.registry.host}/ops/base", world.tiers["base"][2])
    assert world.place("web").protects == ()
    assert world.place("base").parent is None


def test_a_parent_that_was_published_before_is_found_in_its_registry(world):
    base = world.image("base", BASE)
    world.image("core", CORE, base)
    world.attach("core")
    assert world.place("core").parent.digest == world.tiers["base"][2]


def test_a_parent_that_is_not_published_as_it_was_used_is_an_error(world):
    world.image("base", BASE)
    world.image("core", CORE, "sha256:" + "5" * 64)
    with pytest.raises(
        RunError, match=r"^tier 'core': it cannot be published, because it was built on image sha256:5+ of"
    ):
        world.attach("core")


def test_an_ancestor_without_a_registry_is_passed_over_and_its_contracts_are_reported(world):
    base = world.image("base", BASE)
    core = world.image("core", CORE, base, registry=False, tests=CONTRACT)
    world.image("web", WEB, core)
    world.attach()
    assert world.place("web").parent == PublishedParent(f"{world.registry.host}/ops/base", world.tiers["base"][2])
    [line] = world.lines
    assert line.startswith("the contracts of tier 'core' do not travel with tier 'web', because tier_image of 'core'")


def test_contracts_are_attached(world):
    world.image("base", BASE, tests=CONTRACT)
    first = world.attach()
    assert world.attach() == first
    found = find_attachment(Registries().reader(world.registry.host), "ops/base", world.tiers["base"][2])
    assert (found.tests / "test_contract.py").read_text() == CONTRACT


def test_contracts_that_cannot_travel_are_an_error_that_names_the_tier(world):
    world.image("base", BASE, tests=CONTRACT + "import docker\n")
    with pytest.raises(RunError, match=r"^tier 'base': it cannot be published .* imports docker"):
        world.attach()


def test_contracts_that_other_teams_skip_are_named(world):
    world.image("base", BASE, tests=CONTRACT + "@pytest.mark.network\n@pytest.mark.contract\ndef test_web(): pass\n")
    world.attach()
    assert world.lines == [
        "contracts of tier 'base' that are marked 'network' are skipped where other teams run them: test_contract.py"
    ]
