# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the policy of a chain, and the keys that must have signed it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ChainError
from ..local_files import own_reads
from ..policy.policy import Policy
from ..policy.policy_signature import NAME, read_signed_policy
from ..policy.root_keys import read_root_keys
from ..policy.version_memory import VersionMemory

_POLICY, _KEYS = "tier_policy", "tier_policy_keys"


def read_chain_policy(variables: Mapping[str, Any], folder: Path, memory: VersionMemory) -> Policy | None:
    """Read the policy of a chain, and check its signature and its version.

    Args:
        variables: The variables of one of the chain's tiers.
        folder: The folder of the inventory. Relative paths begin there.
        memory: Remembers the version.

    Returns:
        The policy; ``None`` if the chain has none.

    Raises:
        ChainError: A variable is wrong.
        TrustError: There is a policy, but it is not valid, or no root key signed it; or there is none, but root keys.
    """
    named, keys = variables.get(_POLICY), _read_keys(variables.get(_KEYS))
    if named is not None and (not isinstance(named, str) or not named):
        raise ChainError(
            f"{_POLICY} is {named!r}; expected the path of the policy, from the inventory's folder: {NAME}"
        )
    path = folder / (str(named) if named is not None else NAME)
    with own_reads():
        if named is None and not path.exists():
            if keys:
                raise ChainError(
                    f"{_KEYS} is set, but there is no policy {path}; get it from Git again, or name its place in "
                    f"{_POLICY}. Without it, nothing would be verified"
                )
            return None
        return read_signed_policy(path, read_root_keys(keys, folder, _KEYS), memory=memory)


def _read_keys(value: Any) -> list[str]:
    if value is None:
        return []
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(isinstance(each, str) for each in values):
        raise ChainError(f"{_KEYS} is a {type(value).__name__}; expected a list of public keys: PEM texts, or files")
    return [str(each) for each in values]
