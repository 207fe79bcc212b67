from __future__ import annotations

import pytest
from ansible._internal._datatag._tags import Origin
from ansible.parsing.vault import EncryptedString, VaultLib, VaultSecret, VaultSecretsContext

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.secrets import (
    SecretMask,
    reject_secrets,
)

SECRET = "hunter2-and-more"


@pytest.fixture
def encrypted():
    """Encrypt a text in such a way that it can be decrypted, as in a run."""
    secrets = [("default", VaultSecret(b"vault password"))]
    if VaultSecretsContext.current(optional=True) is None:
        VaultSecretsContext.initialize(VaultSecretsContext(secrets))

    def encrypt(text):
        return EncryptedString(ciphertext=VaultLib(secrets).encrypt(text).decode())

    return encrypt


@pytest.fixture
def from_a_vault(tmp_path):
    """Tag a text as read from an encrypted file."""
    path = tmp_path / "vault.yml"
    path.write_text("$ANSIBLE_VAULT;1.1;AES256\n00\n")
    return lambda text: Origin(path=str(path)).tag(text)


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({"env": {"KEY": SECRET}}, "env.KEY"),
        ({"env": {"URL": f"db://u:{SECRET}@db"}}, "env.URL"),
        ({"labels": {SECRET: "x"}}, r"labels.\*\*\*"),
        ({"cmd": ["run", SECRET]}, r"cmd\[1\]"),
    ],
)
def test_a_secret_in_the_settings_is_rejected_without_showing_its_value(encrypted, config, place):
    variables = {"web": {"keys": ["x", encrypted(SECRET)]}}
    with pytest.raises(
        ChainError, match=rf"tier 'web': tier_config.{place} contains the value of web.keys\[1\]"
    ) as failure:
        reject_secrets("web", "tier_config", config, variables)
    assert SECRET not in str(failure.value)


def test_values_of_an_encrypted_file_are_secrets(from_a_vault):
    with pytest.raises(ChainError, match="contains the value of web_key, which comes from a vault"):
        reject_secrets("web", "tier_config", {"user": SECRET}, {"web_key": from_a_vault(SECRET)})


def test_an_encrypted_setting_is_rejected(encrypted):
    secret = encrypted(SECRET)
    with pytest.raises(ChainError, match=r"tier_config.user contains the value of tier_config.user"):
        reject_secrets("web", "tier_config", {"user": secret}, {"tier_config": {"user": secret}})


@pytest.mark.parametrize("config", [{}, {"user": "7", "env": {"A": None, "B": 1}, "ports": ["80"]}])
def test_settings_without_secrets_are_accepted(encrypted, from_a_vault, config):
    variables = {"a": encrypted(SECRET), "b": from_a_vault("7"), "c": "80", "hostvars": {"x": encrypted("7777777")}}
    reject_secrets("web", "tier_config", config, variables)


def test_a_value_that_cannot_be_decrypted_is_ignored(encrypted):
    broken = EncryptedString(ciphertext="$ANSIBLE_VAULT;1.1;AES256\n3030")
    with pytest.raises(ChainError, match="the value of b"):
        reject_secrets("web", "tier_config", {"user": SECRET}, {"a": broken, "b": encrypted(SECRET)})


def test_secrets_are_hidden_in_a_text_the_longest_first(encrypted, from_a_vault):
    hosts = [{"a": encrypted(SECRET)}, {"b": {"c": [from_a_vault(f"{SECRET} and more")]}, "d": "plain text"}]
    text = f"plain text: {SECRET} and more, {SECRET}{SECRET}"
    assert SecretMask(hosts).hide(text) == "plain text: ***, ******"
    assert SecretMask([]).hide(text) == text
