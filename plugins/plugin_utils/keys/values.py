# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests of variables' values, without giving secrets away."""

from __future__ import annotations

import functools
import hashlib
import json

from .parts import digest_bytes

# A stored digest of a short secret could be guessed by trying; scrypt makes each try cost about 50 ms and 16 MiB.
_WORK_FACTOR = 2**14


def digest_value(name: str, value: object, *, secret: bool) -> str:
    """Digest a variable's value.

    Args:
        name: The variable, which salts the digest of a secret.
        value: What JSON can hold; anything else counts by its text.
        secret: Whether the digest must be slow to guess.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()
    if not secret:
        return digest_bytes(text)
    return _slow_digest(name, text)


@functools.cache  # a team's secret is the same for each of its tiers
def _slow_digest(name: str, text: bytes) -> str:
    return hashlib.scrypt(text, salt=f"tierwright/{name}".encode(), n=_WORK_FACTOR, r=8, p=1, dklen=16).hex()
