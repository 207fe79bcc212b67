# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the public keys of the archive that a base is bootstrapped from (``tier_bootstrap.keyring``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..build_key.file_digests import read_file
from ..chain.tier import ARMOR
from ..errors import ChainError

_PRIVATE = b"-----BEGIN PGP PRIVATE KEY BLOCK-----"

#: First bytes of a binary OpenPGP packet with a public key, in the old and in the new format (RFC 9580, section 4.2).
_PUBLIC_PACKETS = frozenset({0x98, 0x99, 0x9A, 0xC6})

#: Those of a packet with a private key.
_PRIVATE_PACKETS = frozenset({0x94, 0x95, 0x96, 0xC5})

#: A keyring of a distribution has some kilobytes.
_MAX_BYTES = 1 << 20


def read_keyring(tier: str, bootstrap: Mapping[str, Any], inventory_folder: Path) -> bytes:
    """Read the public keys of an archive.

    Args:
        tier: The base, for messages.
        bootstrap: Its checked ``tier_bootstrap``. ``keyring`` is a path, from the folder of the inventory, or the keys
            themselves as text.
        inventory_folder: The folder of the inventory.

    Returns:
        The keys, armored or binary; empty if there is no keyring.

    Raises:
        ChainError: There are keys without a mirror, the file cannot be read, or it does not contain public keys.
    """
    value = bootstrap["keyring"]
    if not value:
        return b""
    if not bootstrap["mirror"]:
        raise ChainError(
            f"tier {tier!r}: tier_bootstrap has a keyring, but no mirror; set mirror to the address of the archive "
            "that these keys sign"
        )
    keys, where = _read(tier, value, inventory_folder)
    text = keys.lstrip()
    if text.startswith(_PRIVATE) or (keys and keys[0] in _PRIVATE_PACKETS):
        raise ChainError(
            f"tier {tier!r}: {where} is a private key, and everybody who can pull the image could read it; export the "
            "public key: gpg --export --armor NAME"
        )
    if len(keys) > _MAX_BYTES or not (text.startswith(ARMOR) or (keys and keys[0] in _PUBLIC_PACKETS)):
        raise ChainError(
            f"tier {tier!r}: {where} does not contain OpenPGP public keys; expected a keyring such as "
            f"/usr/share/keyrings/ubuntu-archive-keyring.gpg, or a text that begins with {ARMOR.decode()}"
        )
    return keys


def _read(tier: str, value: str, inventory_folder: Path) -> tuple[bytes, str]:
    """Return the keys, and where they are, for messages."""
    if value.lstrip().startswith("-----BEGIN PGP "):
        return f"{value.strip()}\n".encode(), "tier_bootstrap.keyring"
    path = inventory_folder / value
    try:
        return read_file(path), f"tier_bootstrap.keyring {path}"
    except OSError as error:
        raise ChainError(
            f"tier {tier!r}: tier_bootstrap.keyring {path} cannot be read: {error.strerror}; a relative path begins at "
            "the inventory's folder"
        ) from error
