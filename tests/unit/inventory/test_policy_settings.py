"""The policy of a chain is found, and its signature is checked with keys from outside of it."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.policy_settings import read_policy
from signed_chain import KeyInMemory, SignedChain

NAME = "chain-policy.yml"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("TIERWRIGHT_POLICY_KEYS", raising=False)
    (tmp_path / "inventory").mkdir()
    SignedChain().write_policy(tmp_path / "inventory")
    return tmp_path / "inventory"


def test_a_folder_without_policy(tmp_path):
    assert read_policy(None, None, tmp_path, "shop") is None


@pytest.mark.parametrize("keys", [["owner.pub"], "owner.pub", "PEM", ["PEM"]])
def test_keys_are_files_or_texts(folder, keys):
    pem = (folder / "owner.pub").read_text()
    keys = pem if keys == "PEM" else [pem] if keys == ["PEM"] else keys
    assert read_policy(None, keys, folder, "shop").version == 1


def test_keys_come_from_the_environment_unless_they_are_set(folder, monkeypatch):
    monkeypatch.setenv("TIERWRIGHT_POLICY_KEYS", f"{folder}/owner.pub:")
    assert read_policy(None, [], folder, "shop").version == 1
    with pytest.raises(TrustError, match="has no signature of a root key"):
        read_policy(None, [KeyInMemory().public_key.pem], folder, "shop")


def test_a_policy_elsewhere(folder, tmp_path):
    for path in folder.glob(f"{NAME}*"):
        path.rename(tmp_path / path.name)
    assert read_policy(None, ["owner.pub"], folder, "shop") is None
    assert read_policy(f"../{NAME}", ["owner.pub"], folder, "shop").version == 1


def test_a_policy_that_is_named_must_exist(folder):
    with pytest.raises(TrustError, match="other"):
        read_policy("other.yml", ["owner.pub"], folder, "shop")


def test_a_policy_without_keys_is_an_error_and_never_ignored(folder):
    with pytest.raises(TrustError, match="set tier_policy_keys or TIERWRIGHT_POLICY_KEYS"):
        read_policy(None, None, folder, "shop")


def test_an_unsigned_policy_is_an_error(folder):
    (folder / f"{NAME}.sigstore.json").unlink()
    with pytest.raises(TrustError, match="is not signed"):
        read_policy(None, ["owner.pub"], folder, "shop")


def test_an_older_policy_is_refused(folder):
    chain = SignedChain()
    chain.write_policy(folder, version=2)
    read_policy(None, ["owner.pub"], folder, "shop")
    chain.write_policy(folder, version=1)
    with pytest.raises(TrustError, match="has version 1, but version 2 .* was seen before"):
        read_policy(None, ["owner.pub"], folder, "shop")
    assert read_policy(None, ["owner.pub"], folder, "another chain").version == 1


@pytest.mark.parametrize("path", ["", 7, ["x"], {}])
def test_a_wrong_path_is_named(folder, path):
    with pytest.raises(ChainError, match="tier_policy is "):
        read_policy(path, ["owner.pub"], folder, "shop")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([7], "tier_policy_keys is not a list of public keys"),
        ({"a": "b"}, "tier_policy_keys is not a list of public keys"),
        ([""], "tier_policy_keys is not a list of public keys"),
        (["gone.pub"], "gone.pub, which cannot be read"),
        (["."], "cannot be read"),
    ],
)
def test_wrong_keys_are_named(folder, keys, message):
    with pytest.raises(ChainError, match=message):
        read_policy(None, keys, folder, "shop")


@pytest.mark.parametrize("text", ["-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----", "-----BEGIN"])
def test_a_wrong_key_is_named_without_its_text(folder, text):
    with pytest.raises(TrustError, match="key 1 of tier_policy_keys") as error:
        read_policy(None, [text], folder, "shop")
    assert "secret" not in str(error.value)
