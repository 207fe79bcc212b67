# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of verbs that verify: the policy, and the public keys of its owner."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError, describe_error

if TYPE_CHECKING:
    from ..custody.custody_reader import NamedPolicy

#: A colon-separated list of files with public keys.
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
        UsageError: A key cannot be read.
        TrustError: No key was named, or none of them signed the policy.
    """
    # `tierwright --help` imports all verbs, and cryptography is slow to import.
    from ..custody.custody_reader import NamedPolicy  # noqa: PLC0415
    from ..policy.policy_signature import NAME, read_signed_policy  # noqa: PLC0415
    from ..signing.public_key import read_public_key  # noqa: PLC0415

    if path is None and not Path(NAME).exists():
        return None
    keys = keys or tuple(filter(None, os.environ.get(_KEYS, "").split(os.pathsep)))
    try:
        roots = [read_public_key(Path(key).read_bytes(), f"the policy key {key}") for key in keys]
    except OSError as error:
        raise UsageError(f"a policy key cannot be read: {describe_error(error)}; check --policy-key") from error
    chosen = Path(path or NAME)
    return NamedPolicy(str(chosen), read_signed_policy(chosen, roots))
