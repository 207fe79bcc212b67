# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the variables about registries: how they are contacted, and whether they are a shared cache."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.parsing.convert_bool import boolean

from ..chain.tier_variables import CACHE_USES, PUBLISH_TO_CACHE, REGISTRY_SPEC
from ..errors import ChainError
from ..transports.registry_access import RegistryAccess

_VARIABLE = "tier_registries"
_CACHE = "tier_shared_cache"
_PUBLISH = "tier_publish"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?")
_EXAMPLE = "registry.example.org:5000: {username: …, password: …}"


def read_registries(value: Any, folder: Path) -> dict[str, RegistryAccess]:
    """Read ``tier_registries``.

    Args:
        value: Its value; ``None`` if it is not set.
        folder: The folder of the inventory. Relative paths begin there.

    Returns:
        By host, how the registry is contacted.

    Raises:
        ChainError: The value is wrong. The message contains no password.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ChainError(f"{_VARIABLE} is a {type(value).__name__}; expected a dictionary by host: {_EXAMPLE}")
    return {str(host): _read_access(str(host), entry, folder) for host, entry in value.items()}


def _read_access(host: str, entry: Any, folder: Path) -> RegistryAccess:
    if not _HOST.fullmatch(host):
        raise ChainError(
            f"{_VARIABLE} names {host!r}; expected the host of a registry as in tier_image, if necessary with a port: "
            "registry.example.org:5000"
        )
    where = f"{_VARIABLE}[{host!r}]"
    if not isinstance(entry, Mapping):
        raise ChainError(f"{where} is a {type(entry).__name__}; expected a dictionary: {_EXAMPLE}")
    if unknown := sorted(set(map(str, entry)) - set(REGISTRY_SPEC)):
        raise ChainError(f"{where} has the unknown keys {', '.join(unknown)}; known are {', '.join(REGISTRY_SPEC)}")
    result = ArgumentSpecValidator(REGISTRY_SPEC).validate(dict(entry))
    for name, option in REGISTRY_SPEC.items():
        # The validator's own message would contain the value.
        if any(name in message for message in result.error_messages):
            raise ChainError(f"{where}.{name} has the wrong type; expected {option['type']}")
    checked = result.validated_parameters
    if bool(checked.get("username")) != bool(checked.get("password")):
        raise ChainError(f"{where} has only one of username and password; set both, or none of them")
    ca_file = checked.get("ca_file")
    if ca_file and not (folder / ca_file).is_file():
        raise ChainError(f"{where}.ca_file is {ca_file}, but there is no such file; relative paths begin at {folder}")
    return RegistryAccess(
        username=checked.get("username"),
        password=checked.get("password"),
        insecure=checked.get("insecure"),
        ca_file=str(folder / ca_file) if ca_file else None,
    )


def read_cache_use(value: Any) -> str | None:
    """Read ``tier_shared_cache``: ``read``, ``write``, or ``None`` if it is not set.

    Raises:
        ChainError: It has a different value.
    """
    if value is not None and value not in CACHE_USES:
        raise ChainError(
            f"{_CACHE} is {value!r}; expected read (take images that were built elsewhere) or write (publish "
            "them for others, too)"
        )
    return None if value is None else str(value)


def publishes(value: Any) -> bool:
    """Say whether a run publishes, from ``tier_publish``: ``true``, ``false``, or ``cache`` for the shared cache only.

    Raises:
        ChainError: The value is something else.
    """
    if value == PUBLISH_TO_CACHE:
        return True
    try:
        return bool(boolean(value))
    except TypeError:
        raise ChainError(f"{_PUBLISH} is {value!r}; expected true, false or {PUBLISH_TO_CACHE}") from None
