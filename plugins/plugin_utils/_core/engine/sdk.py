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

from ..errors import EngineUnavailableError
from .api_errors import ADVICE, root_cause
from .session import check_api_version


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
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError, KeyError) as error:
        raise EngineUnavailableError(
            f"no container engine answers at {address} ({root_cause(error)}); {ADVICE}"
        ) from error
    except (TypeError, ValueError, AttributeError):
        version = None  # its answer has an unexpected form
    check_api_version(address, version)
    return client
