# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of verbs that verify: the policy, and the public keys of its owner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..custody.custody_reader import NamedPolicy

#: The same variable as in :mod:`..policy.root_keys`, which is slow to import.
_KEYS = "TIERWRIGHT_POLICY_KEYS"


def policy_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options ``--policy`` and ``--policy-key`` to a verb."""
    key = click.option(
        "--policy-key",
        multiple=True,
        metavar="FILE",
        help=f"Public key of the policy's owner; by default those of ${_KEYS}.",
    )
    policy = click.option(
        "--policy", metavar="FILE", help="The policy; by default chain-policy.yml, if it is in this folder."
    )
    return policy(key(command))


def open_policy(path: str | None, keys: tuple[str, ...]) -> NamedPolicy | None:
    """Read the policy, and verify its signature.

    Args:
        path: Its path; ``None`` for ``chain-policy.yml`` in this folder.
        keys: Paths of public keys.

    Returns:
        The policy; ``None`` if no path was given, and this folder has none.

    Raises:
        TrustError: A key cannot be read, no key was named, or none of them signed the policy.
    """
    # `tierwright --help` imports all verbs, and cryptography is slow to import.
    from ..custody.custody_reader import NamedPolicy  # noqa: PLC0415
    from ..policy.policy_signature import NAME, read_signed_policy  # noqa: PLC0415
    from ..policy.root_keys import keys_of_environment, read_root_keys  # noqa: PLC0415

    if path is None and not Path(NAME).exists():
        return None
    roots = read_root_keys(keys, Path(), "--policy-key") if keys else keys_of_environment()
    chosen = Path(path or NAME)
    return NamedPolicy(str(chosen), read_signed_policy(chosen, roots))
