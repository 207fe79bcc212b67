# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of verbs that need a policy, and the policy that they name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..custody.custody_reader import NamedPolicy
    from ..policy.policy import Policy
    from ..signing.public_key import PublicKey

# `tierwright --help` imports all verbs, and cryptography is slow to import. So the functions import what they need.

#: The policy in the current folder.
NAME = "chain-policy.yml"

_ENVIRONMENT = "TIERWRIGHT_POLICY_KEYS"

policy_key_option = click.option(
    "--policy-key",
    "policy_keys",
    multiple=True,
    metavar="FILE",
    help=f"The public key of an owner of the policy; repeatable. Without it, {_ENVIRONMENT} names files.",
)

policy_argument = click.argument(
    "policy", default=NAME, metavar="[FILE]", type=click.Path(dir_okay=False, path_type=Path)
)


def verifying_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options ``--policy`` and ``--policy-key`` to a verb that verifies images."""
    named = click.option(
        "--policy", type=click.Path(path_type=Path), metavar="FILE", help=f"Default: {NAME}, if it is in this folder."
    )
    return named(policy_key_option(command))


def open_named_policy(path: Path | None, policy_keys: tuple[str, ...]) -> NamedPolicy | None:
    """Read the policy that an option names, and check its signature.

    Args:
        path: The policy; ``None`` for :data:`NAME` in this folder.
        policy_keys: The values of the option.

    Returns:
        The policy; ``None`` if no path was given, and this folder has none.

    Raises:
        TrustError: The policy is wrong, or is not signed by a root key.
    """
    from ..custody.custody_reader import NamedPolicy  # noqa: PLC0415

    if path is None and not Path(NAME).exists():
        return None
    chosen = path or Path(NAME)
    return NamedPolicy(str(chosen), open_policy(chosen, policy_keys))


def root_keys(policy_keys: tuple[str, ...]) -> list[PublicKey]:
    """Return the root keys that the option names, or otherwise those of the environment.

    Raises:
        TrustError: A file is missing, or contains no public key.
    """
    from ..policy.root_keys import keys_of_environment, read_root_keys  # noqa: PLC0415

    return read_root_keys(policy_keys, Path(), "--policy-key") if policy_keys else keys_of_environment()


def open_policy(path: Path, policy_keys: tuple[str, ...], chain: str | None = None) -> Policy:
    """Read a policy, and check its signature.

    Args:
        path: The policy.
        policy_keys: The values of the option.
        chain: The chain that it is used for. Its version is remembered, and an older one is refused.

    Raises:
        TrustError: The policy is wrong, is not signed by a root key, or is older than one that was seen.
    """
    from ..policy.policy_signature import read_signed_policy  # noqa: PLC0415
    from ..policy.version_memory import VersionMemory  # noqa: PLC0415

    memory = VersionMemory(chain) if chain is not None else None
    return read_signed_policy(path, root_keys(policy_keys), memory=memory)
