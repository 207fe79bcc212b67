"""The policy of a chain is found beside its inventory, and never ignored if something is wrong."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.policy_settings import read_chain_policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy_signature import (
    sign_policy,
    signature_path,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.version_memory import VersionMemory
from policy_files import policy_text, signers  # noqa: F401 - fixtures

from .test_stale_inputs import project
from .world import World


@pytest.fixture
def owner(signers):  # noqa: F811 - the fixture
    return signers["owner"]


@pytest.fixture
def path(tmp_path, policy_text):  # noqa: F811 - the fixture
    path = tmp_path / "chain-policy.yml"
    path.write_text(policy_text)
    return path


@pytest.fixture
def read(tmp_path):
    return lambda **variables: read_chain_policy(variables, tmp_path, VersionMemory("shop", tmp_path / "memory"))


def test_a_chain_without_a_policy_works_as_before(read, tmp_path):
    assert read() is None
    assert read(tier_policy_keys=[]) is None
    assert list(tmp_path.iterdir()) == []


def test_the_policy_beside_the_inventory_is_verified(read, path, owner, tmp_path):
    sign_policy(path, owner)
    (tmp_path / "owner.pub").write_text(owner.public_key.pem)
    for keys in (["owner.pub"], "owner.pub", [owner.public_key.pem], owner.public_key.pem):
        assert read(tier_policy_keys=keys).version == 3
    path.rename(tmp_path / "other.yml")
    signature_path(path).rename(signature_path(tmp_path / "other.yml"))
    assert read(tier_policy="other.yml", tier_policy_keys=["owner.pub"]).version == 3


@pytest.mark.usefixtures("path")
def test_a_policy_without_root_keys_is_not_ignored(read):
    with pytest.raises(
        TrustError, match=r"chain-policy\.yml cannot be trusted without a root key; set tier_policy_keys"
    ):
        read()


@pytest.mark.usefixtures("path")
def test_a_policy_without_a_signature_is_not_ignored(read, owner):
    with pytest.raises(TrustError, match=r"chain-policy\.yml is not signed"):
        read(tier_policy_keys=[owner.public_key.pem])


def test_a_removed_policy_is_noticed(read, owner):
    with pytest.raises(
        ChainError, match=r"tier_policy_keys is set, but there is no policy .*nothing would be verified"
    ):
        read(tier_policy_keys=[owner.public_key.pem])
    with pytest.raises(TrustError, match=r"the policy .*other\.yml cannot be read: No such file"):
        read(tier_policy="other.yml", tier_policy_keys=[owner.public_key.pem])


def test_an_older_policy_is_noticed(read, path, owner):
    text, keys = path.read_text(), [owner.public_key.pem]
    for version in (4, 3):
        path.write_text(text.replace("version: 3", f"version: {version}"))
        sign_policy(path, owner)
        if version == 4:
            assert read(tier_policy_keys=keys).version == 4
    with pytest.raises(TrustError, match="has version 3, but version 4 of the policy of chain 'shop' was seen before"):
        read(tier_policy_keys=keys)


@pytest.mark.parametrize("value", ["", 7, True, [], {}])
def test_wrong_paths_are_refused(read, value):
    with pytest.raises(ChainError, match=r"tier_policy is .*; expected the path of the policy"):
        read(tier_policy=value)


@pytest.mark.parametrize("value", [7, True, {"a": "b"}, [7], [["a"]]])
def test_wrong_keys_are_refused(read, value):
    with pytest.raises(ChainError, match=r"tier_policy_keys is a .*; expected a list of public keys"):
        read(tier_policy_keys=value)


def test_a_real_inventory_has_a_policy_that_changes_no_key(tmp_path, policy_text, owner, monkeypatch):  # noqa: F811
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    world = World(project(tmp_path / "clone"))
    world.build()
    assert world.planner().inventory.policy is None
    path = world.folder / "inventories/shop/chain-policy.yml"
    path.write_text(policy_text)
    sign_policy(path, owner)
    world.extra["tier_policy_keys"] = [owner.public_key.pem]
    assert world.built() == []
    assert world.planner().inventory.policy.version == 3
    assert (tmp_path / "state/tierwright/+policies/shop.json").is_file()
