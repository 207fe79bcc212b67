# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the variables about the signer of a tier. No message contains their values: one may be the key itself."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError

from ..chain.tier_variables import SIGNING_VARIABLES
from ..errors import ChainError, errors_of
from ..signing.envelope import Signer
from ..signing.signers import open_signer

SIGNING_KEY, _PASSPHRASE, _PUBLIC_KEY = SIGNING_VARIABLES


def read_signer(variables: Mapping[str, Any], folder: Path) -> Signer | None:
    """Open the signer of a tier. A key is opened once in a process, even if it signs for many tiers.

    Args:
        variables: The tier's variables, templated on access.
        folder: The folder of the inventory. Relative paths begin there.

    Returns:
        The signer; ``None`` if ``tier_signing_key`` is not set, so that nobody signs.

    Raises:
        ChainError: A variable is wrong.
        TrustError: The key cannot be opened.
    """
    tier = str(variables.get("inventory_hostname", ""))
    with errors_of(f"tier {tier!r}"):
        reference, passphrase, public_key = (_read_text(variables, name) for name in SIGNING_VARIABLES)
        if reference is None:
            for name, value in ((_PASSPHRASE, passphrase), (_PUBLIC_KEY, public_key)):
                if value is not None:
                    raise ChainError(f"{name} is set, but {SIGNING_KEY} is not; set both, or none of them")
            return None
        return _open(reference, passphrase, public_key, folder.absolute())


@cache
def _open(reference: str, passphrase: str | None, public_key: str | None, folder: Path) -> Signer:
    return open_signer(reference, passphrase, folder=folder, public_key=public_key, title=SIGNING_KEY)


def _read_text(variables: Mapping[str, Any], name: str) -> str | None:
    try:
        value = variables.get(name)
    except AnsibleError as error:
        # Its own message can quote the lines of the file around the variable.
        kind = "its vault cannot be opened" if "vault" in str(error).lower() else "its template cannot be evaluated"
        raise ChainError(
            f"{name} cannot be read: {kind}; --vault-password-file names the password of a vault"
        ) from None
    if value is None:
        return None
    if not isinstance(value, str):
        raise ChainError(f"{name} is not a string; put its value in quotes")
    if not value:
        raise ChainError(f"{name} is an empty string; set it, or remove it")
    return str(value)
