# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The SDK's client, imported by nothing that need not have it: it takes longer than most of what is asked."""

from __future__ import annotations

import os

import docker
import docker.errors
import requests.exceptions

from ..errors import EngineUnavailableError, described
from .api_errors import ADVICE, innermost

#: Docker Engine 20.10, and Podman 4's Docker-compatible service.
OLDEST_API = (1, 40)


def connect(address: str, timeout: int) -> docker.DockerClient:
    """Connect to the engine at an address.

    ``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH`` mean what they mean to the ``docker`` command.

    Args:
        address: As in ``DOCKER_HOST``.
        timeout: Seconds that one answer may take.

    Raises:
        EngineUnavailableError: No engine answers, or it is older than Docker 20.10.
    """
    try:
        client = docker.DockerClient.from_env(timeout=timeout, environment={**os.environ, "DOCKER_HOST": address})
        version = client.api.api_version  # asked for when the SDK connects
        spoken = tuple(int(part) for part in version.split("."))
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError, KeyError) as error:
        raise EngineUnavailableError(
            f"no container engine answers at {address} ({innermost(error)}); {ADVICE}"
        ) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise EngineUnavailableError(
            f"what answers at {address} is no container engine: its version cannot be read ({described(error)}); "
            f"{ADVICE}"
        ) from error
    if spoken < OLDEST_API:
        raise EngineUnavailableError(
            f"the engine at {address} speaks API {version}; {'.'.join(map(str, OLDEST_API))} or later is needed "
            "(Docker Engine 20.10, Podman 4)"
        )
    return client
