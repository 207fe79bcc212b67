# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the variables about the policy, the policy itself, and makes what checks images of others."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..custody.policy_check import PolicyCheck
from ..errors import ChainError, describe_error
from ..handover.image_check import ImageChecker
from ..local_files import own_reads
from ..policy.policy import Policy
from ..policy.policy_signature import NAME, read_signed_policy
from ..policy.version_memory import VersionMemory
from ..signing.public_key import PublicKey, read_public_key
from ..transports.registries import Registries

_VARIABLE, _KEYS = "tier_policy", "tier_policy_keys"
#: Files with public keys, separated by colons.
_ENVIRONMENT = "TIERWRIGHT_POLICY_KEYS"
_PEM = "-----BEGIN"


def read_policy(path: Any, keys: Any, folder: Path, owner: str) -> Policy | None:
    """Read the policy of a chain or a site, and check its signature.

    Args:
        path: The value of ``tier_policy``; without one, ``chain-policy.yml`` in the folder, if it exists.
        keys: The value of ``tier_policy_keys``: keys in PEM, or their files. Without one, the files that
            ``TIERWRIGHT_POLICY_KEYS`` names.
        folder: The folder of the inventory. Relative paths begin there.
        owner: The chain or the site whose policy it is: an older version than it had before is refused.

    Returns:
        The policy; ``None`` if there is none.

    Raises:
        ChainError: A variable is wrong.
        TrustError: The policy, its signature or a key is missing, wrong or too old.
    """
    if path is not None and (not isinstance(path, str) or not path):
        raise ChainError(f"{_VARIABLE} is {path!r}; expected the path of a policy: {NAME}")
    with own_reads():
        file = folder / str(path or NAME)
        if path is None and not file.exists():
            return None
        return read_signed_policy(file, _read_keys(keys, folder), memory=VersionMemory(owner))


def make_checker(policy: Policy | None, registries: Registries, say: Callable[[str], None]) -> ImageChecker:
    """Return what checks images of others.

    Args:
        policy: The policy; ``None`` if there is none.
        registries: The registries.
        say: Called with lines to print.
    """
    if policy is None:
        return ImageChecker(registries.reader, say)
    check = PolicyCheck(policy, datetime.now(UTC))
    return ImageChecker(registries.reader, say, check.image, check.release, check.read_layers)


def _read_keys(value: Any, folder: Path) -> list[PublicKey]:
    if isinstance(value, str):
        value = [value]
    if value is None or value == []:
        value = [name for name in os.environ.get(_ENVIRONMENT, "").split(os.pathsep) if name]
    if not isinstance(value, Sequence) or not all(isinstance(each, str) and each for each in value):
        raise ChainError(f"{_KEYS} is not a list of public keys; expected keys in PEM, or files: [keys/owner.pub]")
    return [_read_key(str(each), number, folder) for number, each in enumerate(value, 1)]


def _read_key(text: str, number: int, folder: Path) -> PublicKey:
    if text.lstrip().startswith(_PEM):
        return read_public_key(text, f"key {number} of {_KEYS}")
    path = folder / text
    try:
        return read_public_key(path.read_bytes(), f"{path} of {_KEYS}")
    except OSError as error:
        raise ChainError(
            f"{_KEYS} names {path}, which cannot be read ({describe_error(error)}); relative paths start at the "
            "inventory's folder"
        ) from error
