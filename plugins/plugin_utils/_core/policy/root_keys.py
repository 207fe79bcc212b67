# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The root keys: public keys from outside of the policy, whose owners sign it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import TrustError, describe_error
from ..signing.public_key import PublicKey, read_public_key

#: Environment variable with files of public keys, separated by colons.
VARIABLE = "TIERWRIGHT_POLICY_KEYS"

_BEGIN = "-----BEGIN "
_LARGEST = 1 << 14
_QUOTED = 60


def read_root_keys(values: Sequence[str], folder: Path, title: str) -> list[PublicKey]:
    """Read root keys.

    Args:
        values: For each key, its PEM text, or a file.
        folder: Relative paths begin there.
        title: Where the values come from, for messages: ``tier_policy_keys``.

    Raises:
        TrustError: One of them is no public key. A private key is not quoted.
    """
    return list(dict.fromkeys(_read_key(value, folder, title) for value in values))


def keys_of_environment() -> list[PublicKey]:
    """Read the root keys in the files that the environment names; none if it names none.

    Raises:
        TrustError: A file is missing, or contains no public key.
    """
    names = [name for name in os.environ.get(VARIABLE, "").split(":") if name]
    return read_root_keys(names, Path(), VARIABLE)


def _read_key(value: str, folder: Path, title: str) -> PublicKey:
    if _BEGIN in value:
        return read_public_key(value, f"a key of {title}")
    if not value or not value.isprintable():
        raise TrustError(f"{title} has {value[:_QUOTED]!r}; expected a file with a public key, or its PEM text")
    path = folder / Path(value).expanduser()
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise TrustError(
            f"{title} names {path}, which cannot be read: {describe_error(error)}; expected a file with a public key"
        ) from error
    return read_public_key(content, f"{title}: {path}")
