# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connecting with the Docker SDK.

Import this module only where the SDK is needed: importing the SDK takes longer than most requests.
"""

from __future__ import annotations

import os

import docker
import docker.errors
import requests.exceptions

from ..errors import EngineUnavailableError, describe_error
from .api_errors import ADVICE, root_cause

#: Oldest supported API version: that of Docker Engine 20.10, and of the Docker-compatible API of Podman 4.
OLDEST_API = (1, 40)


def connect(address: str, timeout: int) -> docker.DockerClient:
    """Connect to the engine at an address.

    ``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH`` have the same meaning as for the ``docker`` command.

    Args:
        address: Address in the format of ``DOCKER_HOST``.
        timeout: Timeout of one request, in seconds.

    Raises:
        EngineUnavailableError: No engine answers, or it is older than Docker 20.10.
    """
    try:
        client = docker.DockerClient.from_env(timeout=timeout, environment={**os.environ, "DOCKER_HOST": address})
        version = client.api.api_version  # the SDK requests it when it connects
        api = tuple(int(part) for part in version.split("."))
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError, KeyError) as error:
        raise EngineUnavailableError(
            f"no container engine answers at {address} ({root_cause(error)}); {ADVICE}"
        ) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise EngineUnavailableError(
            f"the service at {address} is not a container engine: its version cannot be read "
            f"({describe_error(error)}); {ADVICE}"
        ) from error
    if api < OLDEST_API:
        raise EngineUnavailableError(
            f"the engine at {address} has API version {version}; version {'.'.join(map(str, OLDEST_API))} or later is "
            "required (Docker Engine 20.10, Podman 4)"
        )
    return client
