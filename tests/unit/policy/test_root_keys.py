"""Root keys come from texts, from files and from the environment."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.root_keys import (
    VARIABLE,
    keys_of_environment,
    read_root_keys,
)

pytestmark = pytest.mark.once


@pytest.fixture
def owner(signers):
    return signers["owner"].public_key


def test_a_key_is_a_text_or_a_file(tmp_path, owner, signers):
    deputy = signers["deputy"].public_key
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/owner.pub").write_text(owner.pem)
    found = read_root_keys(
        ["keys/owner.pub", str(tmp_path / "keys/owner.pub"), deputy.pem], tmp_path, "tier_policy_keys"
    )
    assert found == [owner, deputy]


def test_the_environment_names_files(tmp_path, owner, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert keys_of_environment() == []
    (tmp_path / "owner.pub").write_text(owner.pem)
    monkeypatch.setenv(VARIABLE, f":{tmp_path / 'owner.pub'}:")
    assert keys_of_environment() == [owner]
    monkeypatch.setenv(VARIABLE, f"{tmp_path / 'owner.pub'}:{tmp_path / 'other.pub'}")
    with pytest.raises(TrustError, match=r"^TIERWRIGHT_POLICY_KEYS names .*other\.pub, which cannot be read: No such"):
        keys_of_environment()


@pytest.mark.parametrize("value", ["", "\n", "a\0b", "missing.pub", ".", "x" * 5000])
def test_what_is_no_file_is_refused(tmp_path, value):
    with pytest.raises(TrustError, match=r"^tier_policy_keys .*; expected a file with a public key"):
        read_root_keys([value], tmp_path, "tier_policy_keys")


def test_other_files_are_refused_and_no_secret_is_quoted(tmp_path):
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "owner.key").write_bytes(private)
    for value in ("owner.key", private.decode()):
        with pytest.raises(TrustError, match="private key; expected a public key") as raised:
            read_root_keys([value], tmp_path, "tier_policy_keys")
        assert private.decode().splitlines()[1] not in str(raised.value)
    (tmp_path / "junk.pub").write_bytes(b"\xff" * 20_000)
    with pytest.raises(TrustError, match=r"junk\.pub has 16385 bytes"):
        read_root_keys(["junk.pub"], tmp_path, "tier_policy_keys")
