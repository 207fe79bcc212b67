"""Tiers that are based on followed images must pass the contracts of all tiers above, and keep what these protect."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    ChainError,
    DamagedError,
    EngineError,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.attachments import (
    PublishedParent,
    PublishedPlace,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.followed_image import look_up
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.tests_archive import PackedFile
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.tier_roles import TierRoles
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from fake_registry import fake_registry
from published_images import identity, protecting, publish, publish_attachment, tier_layer

BASE, CORE = tier_layer(1), tier_layer(2)


@pytest.fixture(autouse=True)
def folders(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(registry_client, "_DELAYS", ())


@pytest.fixture
def registry():
    with fake_registry() as registry:
        yield registry


def contract(text):
    return {"test_contract.py": PackedFile(text.encode())}


def publish_all(registry, protects=("etc/motd",), of_image=("etc/motd",)):
    """Publish base and core, with their attachments. Return the tier that follows core."""
    base, _config = publish(registry, "ops/base", "stable", [BASE], owners=["base"], image_labels=identity("base"))
    own = {**identity("core"), **protecting("base", *of_image)}
    core, _config = publish(registry, "ops/core", "stable", [BASE, CORE], owners=["base", "core"], image_labels=own)
    place = PublishedPlace("base", "operations", "ops", None, tuple(protects))
    publish_attachment(registry, "ops/base", base, place, contract("base"))
    parent = PublishedParent(f"{registry.host}/ops/base", base)
    publish_attachment(
        registry, "ops/core", core, PublishedPlace("core", "operations", "ops", parent, ()), contract("core")
    )
    image = f"{registry.host}/ops/core"
    return Tier(name="core", team="operations", image=image, tag="stable", source=Follow(image, "stable"))


@pytest.fixture
def roles(registry, tmp_path):
    """A function that returns the roles of a chain that follows core, from its lock: `roles(**changes of the lock)`."""
    tier = publish_all(registry)
    registries = Registries()
    locked = look_up(registries.reader, tier).locked
    web = Tier(name="web", team="development", image="web", tag="latest", parent="core", role="web")
    shop = Tier(name="shop", team="development", image="shop", tag="latest", parent="web", role="web")
    tests = tmp_path / "roles/web/tests"
    tests.mkdir(parents=True)
    (tests.parent / "tasks").mkdir()
    (tests.parent / "tasks/main.yml").write_text("[]\n")
    (tests / "test_web.py").write_text("")

    def roles(**changes):
        inventory = SimpleNamespace(
            chain=Chain([tier, web, shop]),
            selected=["core", "web", "shop"],
            used={"core": msgspec.structs.replace(locked, **changes)},
            registries=registries,
            inventory_folder=lambda _tier: tmp_path,
        )
        return TierRoles(inventory)

    roles.locked = locked
    return roles


def test_contracts_of_the_followed_tier_and_of_all_above_are_tested_nearest_first(roles, registry):
    suite = roles().tests("shop")
    assert [(each.tier, each.team, each.origin) for each in suite.all] == [
        ("shop", "development", None),
        ("web", "development", None),
        ("core", "operations", f"{registry.host}/ops/core@{roles.locked.digest}"),
        ("base", "operations", f"{registry.host}/ops/base@{roles.locked.ancestors[0].digest}"),
    ]
    texts = [(Path(each.folder) / "test_contract.py").read_text() for each in suite.contracts[1:]]
    assert texts == ["core", "base"]


def test_the_followed_tier_itself_is_not_tested_again(roles):
    assert not roles().tests("core")
    assert roles().own_folder("core") is None
    assert roles().test_digests.keys() == {"web", "shop"}


def test_the_digest_of_the_tests_covers_contracts_of_others(roles):
    everything = roles().test_digests
    assert everything == roles().test_digests
    assert everything["web"] != roles(ancestors=()).test_digests["web"]
    assert everything["web"] != roles(attachment=None).test_digests["web"]


def test_contracts_are_read_without_the_registry_once_they_are_in_the_cache(roles, registry):
    before = roles().test_digests
    registry.fault = lambda _method, _path: 500
    assert roles().test_digests == before


def test_a_contract_that_the_registry_lost_is_an_error_that_says_what_to_do(roles):
    lost = "sha256:" + "1" * 64
    with pytest.raises(
        ChainError, match=r"tier 'core' cannot be tested with the contract of tier 'core' of team oper.*"
    ):
        roles(attachment=lost).tests("web")


def test_a_registry_that_does_not_answer_is_an_error_and_not_a_missing_contract(roles, registry, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    registry.fault = lambda _method, _path: 503
    with pytest.raises(EngineError, match="503"):
        roles().tests("web")


def test_a_lock_that_names_a_wrong_owner_is_an_error(roles):
    wrong = msgspec.structs.replace(roles.locked.ancestors[0], team="development")
    with pytest.raises(
        DamagedError, match=r"is of tier 'base' of team development, but it is of tier 'base' of team oper"
    ):
        roles(ancestors=(wrong,)).tests("web")


def test_an_image_whose_labels_drop_what_an_ancestor_protects_is_not_locked(registry):
    tier = publish_all(registry, protects=("etc/motd", "etc/ssl"), of_image=("etc/motd",))
    with pytest.raises(
        DamagedError, match=r"labels lack paths that tier 'base' of team operations protects .*/etc/ssl"
    ):
        look_up(Registries().reader, tier)
