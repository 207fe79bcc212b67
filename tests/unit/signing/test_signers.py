"""Where signers come from, and that no message about them has a secret."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import sign_statement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.private_key import KEY_TYPES, make_key_pair
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.signers import open_signer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import Statement, Subject

pytestmark = pytest.mark.once

STATEMENT = Statement((Subject("web", f"sha256:{'ab' * 32}"),), "https://slsa.dev/provenance/v1", {})


@pytest.fixture(params=KEY_TYPES)
def public(request, tmp_path):
    """The public key of the encrypted key ``keys/alice.key``."""
    return make_key_pair(request.param, tmp_path / "keys/alice.key", "secret")


def refusal(reference, folder, passphrase=None, **more):
    with pytest.raises(TrustError) as raised:
        open_signer(reference, passphrase, folder=folder, **more)
    return str(raised.value)


def test_a_key_signs_wherever_it_is(tmp_path, public, monkeypatch):
    path = tmp_path / "keys/alice.key"
    monkeypatch.setenv("TEAM_KEY", path.read_text())
    monkeypatch.setenv("HOME", str(tmp_path))
    for reference in ("keys/alice.key", str(path), "~/keys/alice.key", "env:TEAM_KEY", path.read_text()):
        signer = open_signer(reference, "secret", folder=tmp_path)
        assert signer.public_key == public
        assert sign_statement(STATEMENT, signer).signers([public]) == [public]
        assert repr(signer) == f"<KeySigner {public}>"


def test_a_key_may_be_one_folded_line_as_yaml_makes_it(tmp_path, public):
    folded = (tmp_path / "keys/alice.key").read_text().replace("\n", " ")
    assert open_signer(folded, "secret", folder=tmp_path).public_key == public


def test_a_public_key_beside_a_private_one_must_be_its_own(tmp_path, public):
    for right in ("keys/alice.pub", public.pem):
        assert open_signer("keys/alice.key", "secret", folder=tmp_path, public_key=right).public_key == public
    other = make_key_pair("p256", tmp_path / "bob.key", "secret")
    assert refusal("keys/alice.key", tmp_path, "secret", public_key="bob.pub") == (
        f"tier_signing_key has the key {public}, but the public key beside it is {other}; they are no pair, so "
        "correct one of them"
    )
    assert "cannot be read from" in refusal("keys/alice.key", tmp_path, "secret", public_key="nothing.pub")
    assert "is a private key; expected" not in refusal("keys/alice.key", tmp_path, "secret", public_key="\0")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("", "tier_signing_key is ''; expected a file, env:NAME, a key in PEM, or hsm:…"),
        ("nothing.key", "tier_signing_key: there is no file"),
        ("env:NOBODY_SET_THIS", "tier_signing_key is 'env:NOBODY_SET_THIS', but that variable is not set"),
        ("pkcs11:token=a", "tier_signing_key is 'pkcs11:token=a'; expected a file, env:NAME, a key in PEM, or hsm:…"),
        ("awskms:alias/a", "tier_signing_key is 'awskms:alias/a', and its public key is not given; set"),
        ("~nobody-has-this-name/a.key", "tier_signing_key: there is no file"),
        ("a" * 5000, "tier_signing_key is a text of 5000 characters"),
    ],
)
def test_wrong_references_are_refused(tmp_path, reference, message):
    assert refusal(reference, tmp_path).startswith(message)


def test_a_file_may_have_the_name_of_a_scheme(tmp_path):
    public = make_key_pair("ed25519", tmp_path / "ops:a.key", "secret")
    assert open_signer("ops:a.key", "secret", folder=tmp_path).public_key == public


def test_no_message_has_a_key_or_a_passphrase(tmp_path, monkeypatch):
    raw = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    body = raw.splitlines()[1]
    encrypted = make_key_pair("p256", tmp_path / "a.key", "canary") and (tmp_path / "a.key").read_text()
    monkeypatch.setenv("TEAM_KEY", encrypted)
    damaged = encrypted.replace("M", "N", 3)
    mistakes = [body, body + "\n", raw.replace("BEGIN", "BEGUN"), raw.replace("KEY", "EY")]
    for reference in (*mistakes, raw.replace(body, body[:-9]), encrypted, damaged, "env:TEAM_KEY"):
        message = refusal(reference, tmp_path, "canary-2")
        assert "canary" not in message
        assert body[:20] not in message
        assert not any(line[:20] in message for line in encrypted.splitlines()[1:-1])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60) | st.binary(min_size=30).map(lambda secret: base64.b64encode(secret).decode()))
def test_any_reference_is_refused_with_a_sentence(tmp_path, reference):
    message = refusal(reference, tmp_path)
    assert message.startswith("tier_signing_key")
    if len(reference) >= 40 and reference.isalnum():
        assert reference not in message
