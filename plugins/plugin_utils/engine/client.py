# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reaching the container engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import docker.errors
import requests.exceptions

from ..errors import EngineError, EngineUnavailableError, described
from .address import engine_address

#: Docker Engine 20.10, and Podman 4's Docker-compatible service.
OLDEST_API = (1, 40)

#: Seconds that one answer may take; unpacking a large layer is one answer.
ANSWER_TIMEOUT = 600

_ADVICE = (
    "start one (`ansible-playbook playbooks/engine.yml` installs and starts the distribution's own where you are "
    "root or may become root), or set DOCKER_HOST to one that runs"
)


def connect(timeout: int = ANSWER_TIMEOUT) -> docker.DockerClient:
    """Connect to the engine that DOCKER_HOST names, else to the first local socket that exists.

    ``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH`` mean what they mean to the ``docker`` command.

    Args:
        timeout: Seconds that one answer may take.

    Raises:
        EngineUnavailableError: No engine answers, or it is older than Docker 20.10.
    """
    address = engine_address()
    try:
        client = docker.DockerClient.from_env(timeout=timeout, environment={**os.environ, "DOCKER_HOST": address})
        version = client.api.api_version  # asked for when the SDK connects
        spoken = tuple(int(part) for part in version.split("."))
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError, KeyError) as error:
        raise EngineUnavailableError(
            f"no container engine answers at {address} ({_short(error)}); {_ADVICE}"
        ) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise EngineUnavailableError(
            f"what answers at {address} is no container engine: its version cannot be read ({described(error)}); "
            f"{_ADVICE}"
        ) from error
    if spoken < OLDEST_API:
        raise EngineUnavailableError(
            f"the engine at {address} speaks API {version}; {'.'.join(map(str, OLDEST_API))} or later is needed "
            "(Docker Engine 20.10, Podman 4)"
        )
    return client


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn the SDK's errors into ours.

    Args:
        doing: What was being done to which thing: ``"tagging httpd-php:latest"``.

    Raises:
        EngineError: The engine refused or failed; its own words are in the message. Or its answer has another form than
            that of the Engine API; so what is read of an answer belongs in the ``with`` statement.
        EngineUnavailableError: The connection broke.
    """
    try:
        yield
    except docker.errors.APIError as error:
        raise EngineError(f"{doing}: the engine says: {error.explanation or error}") from error
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise EngineUnavailableError(f"{doing}: the engine stopped answering ({_short(error)}); {_ADVICE}") from error
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise EngineError(f"{doing}: the engine's answer cannot be understood: {described(error)}") from error


def listed(answer: Any) -> list[Any]:
    """Take an answer that has to be a list: an empty dictionary would pass for an empty one.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(answer, list):
        raise TypeError(f"{type(answer).__name__} where a list belongs")
    return answer


def _short(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
