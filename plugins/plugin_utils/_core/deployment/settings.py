# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the variables ``deploy_*`` that Ansible's argument specification does not check completely."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import ChainError
from .secret_values import SecretValues, derive_keys
from .site import Limits
from .wordpress_site import APPLICATION, DATABASE, PROXY, SERVICES

#: The secrets that users give. The others are derived from ``phrase``.
GIVEN_SECRETS = ("database_password", "database_root_password", "phrase")

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SIZE = re.compile(r"(\d+)\s*([kMGT]|[KMGT]i)?")
#: CPUs, memory and processes of each service, unless ``deploy_limits`` says something else.
DEFAULT_LIMITS = {
    DATABASE: {"cpus": 1.0, "memory": "512Mi", "processes": 200},
    APPLICATION: {"cpus": 1.0, "memory": "512Mi", "processes": 200},
    PROXY: {"cpus": 0.5, "memory": "128Mi", "processes": 100},
}


def read_size(variable: str, value: Any) -> int:
    """Read a size: ``512Mi``, ``10G``, or a number of bytes.

    Raises:
        ChainError: It has a different form.
    """
    match = _SIZE.fullmatch(str(value).strip())
    if match is None or int(match[1]) == 0:
        raise ChainError(f"{variable} is {value!r}; expected a size such as 512Mi, 10G, or a number of bytes")
    return int(match[1]) * _UNITS[match[2] or ""]


def read_limits(value: Mapping[str, Any]) -> dict[str, Limits]:
    """Read ``deploy_limits``: by service ``cpus``, ``memory`` and ``processes``.

    Raises:
        ChainError: A service or a key is unknown, or a value is wrong.
    """
    _check_keys("deploy_limits", value, SERVICES)
    return {service: _read_limit(f"deploy_limits.{service}", service, value.get(service) or {}) for service in SERVICES}


def _read_limit(where: str, service: str, value: Mapping[str, Any]) -> Limits:
    _check_keys(where, value, DEFAULT_LIMITS[service])
    chosen = {**DEFAULT_LIMITS[service], **value}
    try:
        cpus, processes = float(chosen["cpus"]), int(chosen["processes"])
    except (TypeError, ValueError):
        cpus, processes = 0, 0
    if not (0 < cpus < float("inf") and processes > 0):
        raise ChainError(f"{where} is {dict(value)!r}; expected cpus and processes to be numbers above 0")
    return Limits(round(cpus * 1000), read_size(f"{where}.memory", chosen["memory"]), processes)


def read_by_service(variable: str, value: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    """Read a variable with one value for each service.

    Args:
        variable: Its name.
        value: Its value.
        default: The values of services that are not in it. A service without either is an error.

    Raises:
        ChainError: It names an unknown service, or lacks one.
    """
    _check_keys(variable, value, SERVICES)
    merged = {**default, **value}
    if missing := [service for service in SERVICES if service not in merged]:
        raise ChainError(f"{variable} has nothing for {', '.join(missing)}; expected {', '.join(SERVICES)}")
    return {service: merged[service] for service in SERVICES}


def read_secrets(value: Mapping[str, Any]) -> SecretValues:
    """Read ``deploy_secrets``, and derive the keys of WordPress.

    Raises:
        ChainError: A secret is unknown, missing, or too short. The message contains no secret.
    """
    _check_keys("deploy_secrets", value, GIVEN_SECRETS)
    given = SecretValues({str(key): str(text) for key, text in value.items()}).select(GIVEN_SECRETS)
    for key, text in given.values.items():
        if text != text.strip("\r\n"):
            raise ChainError(f"deploy_secrets.{key} ends or begins with a line feed, which programs cut off; remove it")
    passwords = {key: text for key, text in given.values.items() if key != "phrase"}
    return SecretValues({**passwords, **derive_keys(given.values["phrase"])})


def _check_keys(variable: str, value: Mapping[str, Any], known: Any) -> None:
    if unknown := sorted(set(map(str, value)) - set(known)):
        raise ChainError(f"{variable} has the unknown keys {', '.join(unknown)}; known are {', '.join(known)}")
