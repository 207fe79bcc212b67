"""Statements, envelopes and bundles: what was signed, and what is rejected."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError, TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import read_bundle, write_bundle
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import (
    IN_TOTO,
    encode_pae,
    sign,
    sign_statement,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import (
    describe_key,
    read_public_key,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import (
    Statement,
    Subject,
    read_statement,
    write_statement,
)

pytestmark = pytest.mark.once

DIGEST = f"sha256:{'ab' * 32}"
STATEMENT = Statement((Subject("corebuild", DIGEST),), "https://slsa.dev/provenance/v1", {"a": [1, "ü"]})


class Signer:
    """Signs with a key in memory."""

    def __init__(self, private):
        self._private, self.public_key = private, describe_key(private.public_key(), "a key of this test")

    def sign(self, message):
        if isinstance(self._private, Ed25519PrivateKey):
            return self._private.sign(message)
        return self._private.sign(message, ECDSA(SHA256()))


@pytest.fixture(params=[Ed25519PrivateKey.generate, lambda: generate_private_key(SECP256R1())], ids=["ed25519", "p256"])
def signer(request):
    return Signer(request.param())


def test_a_bundle_brings_back_what_was_signed(signer):
    bundle = write_bundle(sign_statement(STATEMENT, signer), signer.public_key)
    envelope = read_bundle(bundle, "bundle")
    assert envelope.payload_type == IN_TOTO
    assert envelope.signers([signer.public_key]) == [signer.public_key]
    assert read_statement(envelope.payload, "statement") == STATEMENT


def test_a_different_key_payload_or_type_does_not_verify(signer):
    envelope = sign_statement(STATEMENT, signer)
    other = Signer(Ed25519PrivateKey.generate()).public_key
    assert envelope.signers([other]) == []
    changed = json.loads(write_bundle(envelope, signer.public_key))
    changed["dsseEnvelope"]["payload"] = base64.b64encode(envelope.payload.replace(b"ab", b"cd")).decode()
    assert read_bundle(json.dumps(changed).encode(), "bundle").signers([signer.public_key]) == []
    changed = json.loads(write_bundle(envelope, signer.public_key))
    changed["dsseEnvelope"]["payloadType"] = "text/plain"
    assert read_bundle(json.dumps(changed).encode(), "bundle").signers([signer.public_key]) == []


def test_a_key_counts_once_even_if_it_signed_twice(signer):
    envelope = sign_statement(STATEMENT, signer)
    twice = type(envelope)(envelope.payload, envelope.payload_type, envelope.signatures * 2)
    assert twice.signers([signer.public_key, signer.public_key]) == [signer.public_key]


def test_the_pae_is_that_of_the_specification():
    # The example of the DSSE protocol, https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert encode_pae("http://example.com/HelloWorld", b"hello world") == expected


def test_a_public_key_survives_its_text(signer):
    key = read_public_key(signer.public_key.pem, "key")
    assert key == signer.public_key
    assert base64.b64decode(key.hint).hex() == key.id


def test_other_keys_are_refused():
    private = generate_private_key(SECP384R1())
    with pytest.raises(TrustError, match=r"on the curve secp384r1; expected Ed25519"):
        describe_key(private.public_key(), "key 'bob'")
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(TrustError, match=r"^key 'bob' is a private key; expected a public key") as raised:
        read_public_key(secret, "key 'bob'")
    assert secret.decode().splitlines()[1] not in str(raised.value)


def test_equal_statements_have_equal_bytes():
    again = Statement(STATEMENT.subjects, STATEMENT.predicate_type, {"a": [1, "ü"]})
    assert write_statement(again) == write_statement(STATEMENT)


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v2"},
        {"subject": []},
        {"subject": [{"digest": {"sha512": "ab"}}]},
        {"subject": [{"digest": {"sha256": "AB" * 32}}]},
        {"subject": {"digest": {}}},
        {"predicateType": 1},
        {"predicate": []},
    ],
)
def test_a_damaged_statement_is_rejected(change):
    document = json.loads(write_statement(STATEMENT)) | change
    with pytest.raises(DamagedError, match=r"^the statement is damaged"):
        read_statement(json.dumps(document).encode(), "the statement")


@given(
    st.recursive(
        st.none() | st.text() | st.integers() | st.booleans(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "mediaType",
                        "dsseEnvelope",
                        "payload",
                        "payloadType",
                        "signatures",
                        "sig",
                        "_type",
                        "subject",
                        "digest",
                    ]
                )
                | st.text(),
                inner,
            )
        ),
    )
)
def test_no_document_leads_to_another_error(document):
    content = json.dumps(document).encode()
    with pytest.raises(DamagedError):
        read_bundle(content, "it")
    with pytest.raises(DamagedError):
        read_statement(content, "it")


@given(st.binary())
def test_any_bytes_can_be_signed(payload):
    signer = Signer(Ed25519PrivateKey.generate())
    envelope = sign(payload, "x", signer)
    assert read_bundle(write_bundle(envelope, signer.public_key), "bundle") == envelope
