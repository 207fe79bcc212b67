# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sigstore bundles of version 0.3: an envelope, and a hint about the key that verifies it.

The format is ``sigstore_bundle.proto`` of https://github.com/sigstore/protobuf-specs. cosign 3 stores such bundles
beside an image, as OCI 1.1 referrers. The hint is never believed: only keys that the reader knows verify a bundle.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from ..errors import DamagedError
from .envelope import Envelope
from .public_key import PublicKey

#: Its media type, and the type of the artifact that contains it in a registry.
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"

#: Limit for the size of a bundle, in bytes. An SBOM of a large image takes a few MiB.
LARGEST = 64 << 20

#: Size of a key's ID in bytes.
_ID_SIZE = 32


def write_bundle(envelope: Envelope, key: PublicKey) -> bytes:
    """Return the bytes of a bundle. Equal envelopes have equal bundles.

    Args:
        envelope: The signed envelope, with one signature.
        key: The key that verifies it.
    """
    document = {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": key.hint}},
        "dsseEnvelope": {
            "payload": base64.b64encode(envelope.payload).decode(),
            "payloadType": envelope.payload_type,
            "signatures": [{"sig": base64.b64encode(each).decode()} for each in envelope.signatures],
        },
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def read_bundle(content: bytes, title: str) -> Envelope:
    """Read the envelope of a bundle. No signature is checked.

    Args:
        content: The bytes of the bundle.
        title: What it is, for messages.

    Raises:
        DamagedError: It is not a bundle of this version with an envelope.
    """
    if len(content) > LARGEST:
        raise DamagedError(f"{title} is damaged: it has {len(content)} bytes, at most {LARGEST} are allowed")
    try:
        document = json.loads(content)
        envelope = document["dsseEnvelope"]
        payload, kind = _decode(envelope["payload"]), envelope["payloadType"]
        signatures = tuple(_decode(each["sig"]) for each in envelope["signatures"])
        version = document["mediaType"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(f"{title} is damaged: it is not a Sigstore bundle with an envelope ({error})") from None
    if version != BUNDLE or not isinstance(kind, str) or not signatures:
        raise DamagedError(f"{title} has the type {version!r} and {len(signatures)} signatures; expected {BUNDLE}")
    return Envelope(payload, kind, signatures)


def read_hint(content: bytes) -> str:
    """Return the ID of the key that a bundle names, for people: 64 hexadecimal digits. Nothing proves it.

    Args:
        content: The bytes of the bundle.

    Returns:
        The ID; empty if the bundle names no key, or is damaged.
    """
    try:
        hint = _decode(json.loads(content)["verificationMaterial"]["publicKey"]["hint"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return hint.hex() if len(hint) == _ID_SIZE else ""


def _decode(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError("expected base64")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"it is not base64: {error}") from error
