from __future__ import annotations

import pytest
from ansible._internal._datatag._tags import Origin, VaultedValue
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import digest_value
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.secrets import Secrets
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.variable_digests import digest_variables

SECRET = "hunter2-canary"


def vaulted(text: str = SECRET) -> str:
    return VaultedValue(ciphertext="$ANSIBLE_VAULT;1.1;AES256").tag(text)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("password", SECRET, True),
        ("url", f"postgres://u:{SECRET}@x", True),
        ("again", "whatever it says", True),
        ("nested", {"deep": [{"url": "anything"}]}, True),
        ("by_chance", f"read from somewhere: {SECRET}", True),
        ("as_a_key", {SECRET: 1}, True),
        ("token", "shown by the role as hidden", True),
        ("port", 80, False),
        ("comment", "the password is in the vault", False),
    ],
)
def test_a_value_that_contains_a_secret_is_recognised(name, value, secret):
    raw = {
        "password": vaulted(),
        "url": "postgres://u:{{ password }}@x",
        "again": "{% if url %}{{ url }}{% endif %}",
        "nested": {"deep": [{"url": "{{ again | upper }}"}]},
        "by_chance": "{{ lookup('file', 'x') }}",
        "as_a_key": {},
        "token": "shown",
        "port": 80,
        "comment": "the password is in the vault",
    }
    assert Secrets(raw, ["token"]).are_in(name, value) == secret


def test_a_short_secret_is_recognised_only_as_the_whole_value():
    secrets = Secrets({"pin": vaulted("a")}, ())
    assert secrets.are_in("copy", "a")
    assert not secrets.are_in("other", "banana")


def test_values_of_an_encrypted_file_are_secret(tmp_path):
    file = tmp_path / "vault.yml"
    file.write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    raw = {"password": Origin(path=str(file), line_num=1).tag(SECRET), "port": 80}
    secrets = Secrets(raw, ())
    assert secrets.are_in("password", SECRET)
    assert secrets.are_in("url", f"x{SECRET}x")
    assert not secrets.are_in("port", 80)


def test_only_secrets_get_the_slow_digest():
    raw = {"password": vaulted(), "url": "u:{{ password }}", "port": 80}
    digests = digest_variables({**raw, "url": f"u:{SECRET}"}, raw)
    assert digests["variable/url"] == digest_value("url", f"u:{SECRET}", secret=True)
    assert digests["variable/port"] == digest_value("port", 80, secret=False)


VALUES = st.recursive(
    st.one_of(st.text(), st.integers(), st.none()), lambda children: st.lists(children, max_size=3), max_leaves=6
)


@given(st.dictionaries(st.text(min_size=1), VALUES, max_size=4), st.text(min_size=4), st.text(), st.text())
def test_arbitrary_values_are_secret_only_if_they_contain_a_secret(raw, secret, before, after):
    secrets = Secrets({**raw, "password": vaulted(secret)}, ())
    assert secrets.are_in("new name", [{"x": before + secret + after}])
    assert not secrets.are_in("new name", "" if secret else None)
