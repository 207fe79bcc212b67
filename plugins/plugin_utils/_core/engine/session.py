# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connections to one engine: that of the Docker SDK, and those of requests that do not need it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from ..errors import EngineUnavailableError, TierwrightError, describe_error
from .api_errors import ADVICE, translate_errors
from .api_requests import Http, reachable_directly

if TYPE_CHECKING:
    import docker

#: Oldest supported API version: that of Docker Engine 20.10, and of the Docker-compatible API of Podman 4.
_OLDEST_API = (1, 40)


def names_podman(version: Mapping[str, Any]) -> bool:
    """Say whether a response to ``GET /version`` comes from Podman."""
    return "Podman Engine" in {str(component.get("Name")) for component in version.get("Components") or ()}


def check_api_version(address: str, version: Any) -> str:
    """Check that an engine is supported, and return its version of the API.

    Args:
        address: Address of the engine, for messages.
        version: What it reports.

    Raises:
        EngineUnavailableError: It is not a version, or it is older than that of Docker 20.10.
    """
    try:
        api = tuple(int(part) for part in version.split("."))
    except (TypeError, ValueError, AttributeError) as error:
        raise EngineUnavailableError(
            f"the service at {address} is not a container engine: its version cannot be read "
            f"({describe_error(error)}); {ADVICE}"
        ) from error
    if api < _OLDEST_API:
        raise EngineUnavailableError(
            f"the engine at {address} has API version {version}; version {'.'.join(map(str, _OLDEST_API))} or later is "
            "required (Docker Engine 20.10, Podman 4)"
        )
    return str(version)


class EngineIdentity(msgspec.Struct, frozen=True):
    """What the code must know about an engine before it can use it."""

    #: Its version of the API, for example ``1.41``.
    api_version: str
    is_podman: bool


def load_sdk() -> Any:
    """Import what connects with the SDK, and return it. It is slow, so it is done only where the SDK is needed."""
    return import_module(".sdk", __package__)


class EngineSession:
    """The address of one engine, and the connections to it. They are opened when they are needed."""

    def __init__(self, address: str, timeout: int) -> None:
        """Prepare; nothing is opened yet.

        Args:
            address: Address in the format of ``DOCKER_HOST``.
            timeout: Timeout of one request, in seconds.
        """
        self.address, self.timeout = address, timeout
        self._client: Any = None
        self._identity: EngineIdentity | None = None
        self._lock = threading.Lock()
        #: For requests that do not need the SDK.
        self.http = Http(address, lambda: self.api)

    @property
    def api(self) -> docker.APIClient:
        """The connected client of the SDK.

        Raises:
            EngineUnavailableError: No engine answers, or it is older than Docker 20.10.
        """
        with self._lock:
            if self._client is None:
                self._client = load_sdk().connect(self.address, self.timeout)
            client: docker.DockerClient = self._client
        return client.api

    def get(self, path: str, /, **parameters: Any) -> Any:
        """Send a GET request, in the version of the Engine API that the SDK uses too. Use it with ``translate_errors``.

        Args:
            path: The path after the version. Names in it are quoted with :func:`.in_path`.
            parameters: Parameters of the query. Dictionaries are sent as JSON.

        Returns:
            The decoded response.

        Raises:
            StatusError: The engine rejected the request.
            EngineError: The response is not JSON.
            EngineUnavailableError: No engine answers, or it is older than Docker 20.10.
            OSError: The connection broke.
        """
        query = urlencode({key: json.dumps(v) if isinstance(v, Mapping) else v for key, v in parameters.items()})
        return self.http.request(f"/v{self.identity().api_version}{path}{query and '?'}{query}")

    def open(self) -> None:
        """Check that an engine answers, and that it is supported. Raises the same errors as :attr:`api`."""
        self.identity()

    def identity(self) -> EngineIdentity:
        """Return the engine's identity. The engine is asked once. Raises the same errors as :attr:`api`."""
        if self._identity is None:
            if not reachable_directly(self.address):
                _connected = self.api  # its messages are better
            self._identity = self._ask_identity()
        return self._identity

    def _ask_identity(self) -> EngineIdentity:
        """Ask with a ping: for ``GET /version``, Docker starts other programs, which takes longer than all else.

        What is between this process and an engine may not let a ping through.
        """
        headers = self.http.ping()
        if (version := headers.get("Api-Version")) is not None:
            return EngineIdentity(check_api_version(self.address, version), "Libpod-Api-Version" in headers)
        try:
            answer = self.http.json("/version")
        except EngineUnavailableError:
            raise
        except TierwrightError as error:
            raise EngineUnavailableError(
                f"no container engine answers at {self.address} ({error}); {ADVICE}"
            ) from error
        answer = answer if isinstance(answer, Mapping) else {}
        version = check_api_version(self.address, answer.get("ApiVersion"))
        with translate_errors("asking the engine for its version"):
            return EngineIdentity(version, names_podman(answer))

    def close(self) -> None:
        """Close all connections."""
        self.http.close()
        if self._client is not None:
            self._client.close()
