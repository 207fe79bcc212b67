# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Encrypts a private key: PKCS#8 (RFC 5958) with PBES2 (RFC 8018), as ``openssl pkcs8 -topk8 -iter 600000`` writes it.

The package cryptography has no setting for the iterations, and uses as few as 2,048. Whoever has the file can then try
a passphrase in a millisecond. So the few lines of DER are written here. Every version of OpenSSL can read them.
"""

from __future__ import annotations

import base64
import hashlib
import os

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

#: Iterations of PBKDF2 with HMAC-SHA-256, as the OWASP Password Storage Cheat Sheet recommends them.
_ITERATIONS = 600_000
_SALT, _KEY = 16, 32
_LINE = 64

#: Tags of DER (X.690).
_INTEGER, _OCTETS, _OBJECT, _SEQUENCE = 0x02, 0x04, 0x06, 0x30
_NULL = b"\x05\x00"
#: Object identifiers: 1.2.840.113549.1.5.13 and .12, 1.2.840.113549.2.9, 2.16.840.1.101.3.4.1.42.
_PBES2 = bytes.fromhex("2a864886f70d01050d")
_PBKDF2 = bytes.fromhex("2a864886f70d01050c")
_HMAC_SHA256 = bytes.fromhex("2a864886f70d0209")
_AES_256_CBC = bytes.fromhex("60864801650304012a")


def encrypt_private_key(der: bytes, passphrase: str) -> str:
    """Return the PEM text of an encrypted private key.

    Args:
        der: The key, as PKCS#8 in DER.
        passphrase: The passphrase.
    """
    salt, start = os.urandom(_SALT), os.urandom(AES.block_size // 8)
    key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, _ITERATIONS, _KEY)
    padder, cipher = PKCS7(AES.block_size).padder(), Cipher(AES(key), CBC(start)).encryptor()
    encrypted = cipher.update(padder.update(der) + padder.finalize()) + cipher.finalize()
    derivation = _sequence(
        _der(_OBJECT, _PBKDF2),
        _sequence(
            _der(_OCTETS, salt),
            _der(_INTEGER, _ITERATIONS.to_bytes(3, "big")),
            _sequence(_der(_OBJECT, _HMAC_SHA256), _NULL),
        ),
    )
    scheme = _sequence(_der(_OBJECT, _AES_256_CBC), _der(_OCTETS, start))
    algorithm = _sequence(_der(_OBJECT, _PBES2), _sequence(derivation, scheme))
    text = base64.b64encode(_sequence(algorithm, _der(_OCTETS, encrypted))).decode()
    lines = [text[place : place + _LINE] for place in range(0, len(text), _LINE)]
    return "\n".join(["-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, "-----END ENCRYPTED PRIVATE KEY-----", ""])


def _sequence(*parts: bytes) -> bytes:
    return _der(_SEQUENCE, b"".join(parts))


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:  # noqa: PLR2004 - the short form of a length
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content
