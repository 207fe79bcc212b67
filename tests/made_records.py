"""Keys, bundles and facts of images for tests."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import write_bundle
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import sign_statement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import PublicKey, describe_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import Statement, Subject


class KeyInMemory:
    """Signs with a key that exists only in this process, and counts its signatures."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.generate()
        self.public_key: PublicKey = describe_key(self._private.public_key(), "a key of this test")
        self.signed = 0

    def sign(self, message: bytes) -> bytes:
        """Sign a message."""
        self.signed += 1
        return self._private.sign(message)


def made_bundle(key: KeyInMemory, digest: str, predicate_type: str = "https://example.org/test/v1") -> bytes:
    """Return a bundle with a small statement about one digest."""
    return write_bundle(sign_statement(Statement((Subject("", digest),), predicate_type, {}), key), key.public_key)
