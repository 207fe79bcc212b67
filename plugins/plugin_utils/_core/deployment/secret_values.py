# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The values of a site's secrets, and the names under which targets keep them.

Targets cannot change a secret that is in use, or containers would not notice it. So the name of a stored secret
contains a digest of its value, and a new value is a new secret. The digest is slow to guess, because everybody who can
list the services of a target can read names.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..build_key.parts import digest_value
from ..errors import ChainError

_DIGITS = 12

#: The keys and salts of WordPress. All replicas need the same ones, or a login at one of them is worth nothing at
#: others.
KEYS = (
    *("auth_key", "secure_auth_key", "logged_in_key", "nonce_key"),
    *("auth_salt", "secure_auth_salt", "logged_in_salt", "nonce_salt"),
)
_SHORTEST_PHRASE = 32


@dataclass(frozen=True, slots=True)
class SecretValues:
    """Secrets by key. Their values are never shown."""

    values: Mapping[str, str] = field(repr=False)

    def select(self, keys: Iterable[str]) -> SecretValues:
        """Return only some of the secrets.

        Raises:
            ChainError: One of them is missing or empty.
        """
        if missing := [key for key in keys if not self.values.get(key)]:
            raise ChainError(f"deploy_secrets has no value for {', '.join(missing)}")
        return SecretValues({key: self.values[key] for key in keys})

    def digest(self, owner: str) -> str:
        """Return digits that change with any value, and from which no value can be guessed quickly.

        Args:
            owner: What the secrets belong to, so that equal secrets of two sites do not look equal.
        """
        return digest_value(owner, dict(self.values), secret=True)[:_DIGITS]


def derive_keys(phrase: str) -> dict[str, str]:
    """Make the eight keys and salts of WordPress from one secret.

    Args:
        phrase: The secret.

    Returns:
        Eight different values of 64 hexadecimal digits, by the names in :data:`KEYS`.

    Raises:
        ChainError: The secret is too short. The message does not contain it.
    """
    if len(phrase) < _SHORTEST_PHRASE:
        raise ChainError(
            f"deploy_secrets.phrase has {len(phrase)} characters; expected at least {_SHORTEST_PHRASE}, for example "
            "the output of `openssl rand -hex 32`"
        )
    return {key: hmac.new(phrase.encode(), key.encode(), hashlib.sha256).hexdigest() for key in KEYS}
