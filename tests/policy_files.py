"""Real keys, and a policy that names them."""

from __future__ import annotations

import textwrap

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import (
    PublicKey,
    describe_key,
)


class MemorySigner:
    """Signs with a key in memory."""

    def __init__(self, private: Ed25519PrivateKey | EllipticCurvePrivateKey | None = None) -> None:
        self._private = private or Ed25519PrivateKey.generate()
        self.public_key: PublicKey = describe_key(self._private.public_key(), "a key of this test")

    def sign(self, message: bytes) -> bytes:
        if isinstance(self._private, Ed25519PrivateKey):
            return self._private.sign(message)
        return self._private.sign(message, ECDSA(SHA256()))


PEOPLE = ("alice", "bob", "carol", "vendor", "owner", "deputy")


@pytest.fixture(scope="session")
def signers() -> dict[str, MemorySigner]:
    """A signer for each person. The owner has a key on P-256."""
    return {person: MemorySigner(generate_private_key(SECP256R1()) if person == "owner" else None) for person in PEOPLE}


def block(signer: MemorySigner, spaces: int) -> str:
    return "|\n" + textwrap.indent(signer.public_key.pem, " " * spaces)


@pytest.fixture(scope="session")
def policy_text(signers: dict[str, MemorySigner]) -> str:
    """The text of a policy that uses every key."""
    return f"""\
version: 3
expires: 2099-06-30
teams:
  operations:
    keys:
      alice: {block(signers["alice"], 8)}
      bob: {block(signers["bob"], 8)}
  middleware:
    keys:
      carol: {block(signers["carol"], 8)}
tiers:
  base:
    signed_by:
      vendor: {block(signers["vendor"], 8)}
  corebuild:
    team: operations
    signatures: 2
    builders: 2
    repositories: ["https://git.example.org/ops/*"]
    branches: [main]
    clean: true
    tests: ["roles/corebuild/tests/*::*"]
    writes: ["/etc/**", "/usr/**"]
    sbom: true
  "*": {{team: middleware, clean: false}}
base_age: 90
outdated: {{openssl: 7, "*": 30}}
releases: {{teams: [operations], valid: 14}}
"""
