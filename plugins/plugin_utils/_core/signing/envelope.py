# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DSSE envelopes: signed bytes with their type (https://github.com/secure-systems-lab/dsse, protocol version 1.0.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from .public_key import PublicKey
from .statement import Statement, write_statement

#: The type of an in-toto statement.
IN_TOTO = "application/vnd.in-toto+json"


class Signer(Protocol):
    """Something that signs with one private key."""

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies its signatures."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, as :meth:`.PublicKey.verifies` expects it.

        Raises:
            TrustError: The key or its service cannot sign.
        """


class Envelope(msgspec.Struct, frozen=True):
    """Signed bytes."""

    payload: bytes
    payload_type: str
    signatures: tuple[bytes, ...]

    def signers(self, keys: Iterable[PublicKey]) -> list[PublicKey]:
        """Return those keys that signed the payload, each once, in their order.

        An envelope does not say reliably who signed it, so all given keys are tried.
        """
        message = encode_pae(self.payload_type, self.payload)
        return [key for key in dict.fromkeys(keys) if any(key.verifies(each, message) for each in self.signatures)]


def encode_pae(payload_type: str, payload: bytes) -> bytes:
    """Return what is signed: the pre-authentication encoding of a payload and its type."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, payload_type: str, signer: Signer) -> Envelope:
    """Sign bytes.

    Raises:
        TrustError: The key or its service cannot sign, or its signature is wrong.
    """
    return Envelope(payload, payload_type, (signer.sign(encode_pae(payload_type, payload)),))


def sign_statement(statement: Statement, signer: Signer) -> Envelope:
    """Sign a statement.

    Raises:
        TrustError: The key or its service cannot sign.
    """
    return sign(write_statement(statement), IN_TOTO, signer)
