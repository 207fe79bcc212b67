# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Public keys of teams: Ed25519, or ECDSA on the curve P-256."""

from __future__ import annotations

import base64
import hashlib

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from ..errors import TrustError

#: Limit for the size of a key's text, in bytes.
_LARGEST = 1 << 14

SupportedKey = Ed25519PublicKey | EllipticCurvePublicKey


class PublicKey(msgspec.Struct, frozen=True):
    """A key that verifies signatures. Two keys are equal if they have the same bytes."""

    #: SHA-256 of its DER encoding (SubjectPublicKeyInfo): 64 hexadecimal digits.
    id: str
    #: Its PEM text, as ``openssl pkey -pubout`` writes it.
    pem: str

    @property
    def hint(self) -> str:
        """Return its ID as a Sigstore bundle has it: the same digest in base64."""
        return base64.b64encode(bytes.fromhex(self.id)).decode()

    @property
    def type(self) -> str:
        """Return its type: ``p256`` or ``ed25519``."""
        return "ed25519" if isinstance(load_pem_public_key(self.pem.encode()), Ed25519PublicKey) else "p256"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Tell whether the owner of this key signed a message.

        Args:
            signature: The signature: 64 bytes (Ed25519, RFC 8032), or DER (ECDSA with SHA-256, RFC 3279).
            message: The message.
        """
        key = load_pem_public_key(self.pem.encode())
        try:
            if isinstance(key, Ed25519PublicKey):
                key.verify(signature, message)
            elif isinstance(key, EllipticCurvePublicKey):
                key.verify(signature, message, ECDSA(SHA256()))
            else:
                return False
        except InvalidSignature:
            return False
        return True

    def __str__(self) -> str:
        """Return the start of its ID, for messages."""
        return self.id[:12]


def read_public_key(text: str | bytes, title: str) -> PublicKey:
    """Read a public key from its PEM text.

    Args:
        text: The text.
        title: What it is, for messages: ``key 'alice' of team 'operations'``.

    Raises:
        TrustError: It is not a public key, or it has an unsupported type.
    """
    content = text.encode(errors="surrogateescape") if isinstance(text, str) else text
    if len(content) > _LARGEST:
        raise TrustError(f"{title} has {len(content)} bytes; expected a public key in PEM, -----BEGIN PUBLIC KEY-----")
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        found = "a private key" if b"PRIVATE KEY" in content else f"something else ({error})"
        raise TrustError(f"{title} is {found}; expected a public key in PEM, -----BEGIN PUBLIC KEY-----") from None
    return describe_key(key, title)


def describe_key(key: object, title: str) -> PublicKey:
    """Return a key of the package cryptography as a public key of ours.

    Raises:
        TrustError: It has an unsupported type.
    """
    if isinstance(key, EllipticCurvePublicKey) and not isinstance(key.curve, SECP256R1):
        raise TrustError(f"{title} is on the curve {key.curve.name}; expected Ed25519, or ECDSA on P-256")
    if not isinstance(key, SupportedKey):
        raise TrustError(f"{title} has the type {type(key).__name__}; expected Ed25519, or ECDSA on P-256")
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(hashlib.sha256(der).hexdigest(), pem.decode())
