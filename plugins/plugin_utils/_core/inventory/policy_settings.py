# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the policy of a chain, and the keys that must have signed it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ChainError
from ..local_files import own_reads
from ..policy.policy_files import NAME

if TYPE_CHECKING:
    from ..policy.policy import Policy
    from ..policy.version_memory import VersionMemory


def read_chain_policy(
    variables: Mapping[str, Any], folder: Path, memory: VersionMemory, prefix: str = "tier"
) -> Policy | None:
    """Read the policy of a chain or of a site, and check its signature and its version.

    Args:
        variables: The variables of one of the chain's tiers, or of the site.
        folder: The folder of the inventory. Relative paths begin there.
        memory: Remembers the version.
        prefix: What the names of the variables begin with: ``tier`` or ``deploy``.

    Returns:
        The policy; ``None`` if the chain has none.

    Raises:
        ChainError: A variable is wrong.
        TrustError: There is a policy, but it is not valid, or no root key signed it; or there is none, but root keys.
    """
    policy_name, keys_name = f"{prefix}_policy", f"{prefix}_policy_keys"
    named, keys = variables.get(policy_name), _read_keys(variables.get(keys_name), keys_name)
    if named is not None and (not isinstance(named, str) or not named):
        raise ChainError(
            f"{policy_name} is {named!r}; expected the path of the policy, from the inventory's folder: {NAME}"
        )
    path = folder / (str(named) if named is not None else NAME)
    with own_reads():
        if named is None and not path.exists():
            if keys:
                raise ChainError(
                    f"{keys_name} is set, but there is no policy {path}; get it from Git again, or name its place in "
                    f"{policy_name}. Without it, nothing would be verified"
                )
            return None
        # Slow imports, for a chain that has a policy
        from ..policy.policy_signature import read_signed_policy  # noqa: PLC0415
        from ..policy.root_keys import read_root_keys  # noqa: PLC0415

        return read_signed_policy(path, read_root_keys(keys, folder, keys_name), memory=memory)


def _read_keys(value: Any, name: str) -> list[str]:
    if value is None:
        return []
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(isinstance(each, str) for each in values):
        raise ChainError(f"{name} is a {type(value).__name__}; expected a list of public keys: PEM texts, or files")
    return [str(each) for each in values]
