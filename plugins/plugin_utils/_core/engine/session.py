# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connection to one engine.

Where possible (:func:`reachable_directly`), requests are sent without the Docker SDK. Importing the SDK takes longer
than most requests, and each of its calls is slow.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from ..errors import EngineError, EngineUnavailableError, NotFoundError
from .chunks import ChunkReader

if TYPE_CHECKING:
    import docker

#: Timeout of a request with a small response, in seconds.
_SMALL_TIMEOUT = 60

#: Timeout between two pieces of a response, in seconds. An engine packs a whole image before it sends the first piece.
_TIMEOUT = 600


def reachable_directly(address: str) -> bool:
    """Say whether requests can be sent to ``address`` without the SDK."""
    plain = address.startswith("tcp://") and not os.environ.get("DOCKER_TLS_VERIFY")
    return address.startswith("unix://") or plain


def connection(address: str, timeout: float = _SMALL_TIMEOUT) -> http.client.HTTPConnection:
    """Make a connection to an address that is :func:`reachable_directly`. It is opened by the first request."""
    parts = urlsplit(address)
    if parts.scheme == "unix":
        return _UnixConnection(parts.path, timeout)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def error_response(address: str, path: str, status: int, content: bytes) -> str:
    """Return a message about a response with an error status."""
    return f"the engine at {address} answered {path} with status {status}: {_message(content)}"


class AnswerBody(Protocol):
    """The body of a response."""

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes; returns no bytes at the end."""


class Http:
    """GET requests to one engine. Threads may share it."""

    def __init__(self, address: str, sdk: Callable[[], docker.APIClient]) -> None:
        """Prepare; nothing is opened yet.

        Args:
            address: Address in the format of ``DOCKER_HOST``.
            sdk: Connects with the SDK. It is called only for engines that need it: over SSH, and behind TLS.
        """
        self.address, self._sdk = address, sdk
        self._local = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Close all connections."""
        for connected in self._opened:
            connected.close()

    def json(self, path: str) -> Any:
        """Get ``path`` of the Engine API.

        Raises:
            NotFoundError: The object does not exist on the engine.
            EngineError: The engine rejected the request, or its response is not JSON.
            EngineUnavailableError: The engine does not answer.
        """
        with self.stream(path) as answer:
            content = b"".join(iter(lambda: answer.read(1 << 20), b""))
        try:
            return json.loads(content)
        except ValueError as error:
            raise EngineError(f"the engine at {self.address} answered {path} with content that is not JSON") from error
        except RecursionError as error:
            raise EngineError(
                f"the engine at {self.address} answered {path} with JSON that is nested too deeply"
            ) from error

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[AnswerBody]:
        """Get ``path`` of the Engine API as a stream. Raises the same errors as :meth:`json`."""
        try:
            if reachable_directly(self.address):
                answer = self._directly(path)
                yield answer
                if not answer.isclosed():  # it was not read to the end
                    self._drop_connection()
            else:
                yield self._with_sdk(path)
        except (OSError, http.client.HTTPException) as error:
            self._drop_connection()
            raise EngineUnavailableError(
                f"no container engine answers at {self.address} ({error}); "
                "start one, or set DOCKER_HOST to a running engine"
            ) from error
        except BaseException:
            self._drop_connection()  # the rest of the response is still unread
            raise

    def _directly(self, path: str) -> http.client.HTTPResponse:
        connected: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connected is None:
            connected = self._local.connection = connection(self.address, _TIMEOUT)
            self._opened.append(connected)
        connected.request("GET", path)
        answer = connected.getresponse()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise self._error(path, answer.status, answer.read())
        return answer

    def _with_sdk(self, path: str) -> AnswerBody:
        api = self._sdk()
        answer = api.get(api.base_url + path, stream=True, timeout=_TIMEOUT)
        if not answer.ok:
            raise self._error(path, answer.status_code, answer.content)
        return ChunkReader(answer.iter_content(1 << 20))  # unlike the underlying stream, this raises OSErrors

    def _drop_connection(self) -> None:
        connected = getattr(self._local, "connection", None)
        if connected is not None:
            connected.close()
            self._local.connection = None

    def _error(self, path: str, status: int, content: bytes) -> Exception:
        if status == HTTPStatus.NOT_FOUND:
            return NotFoundError(f"the engine at {self.address} says: {_message(content)}")
        return EngineError(error_response(self.address, path, status, content))


def _message(content: bytes) -> str:
    text = content.decode(errors="replace").strip()
    with contextlib.suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(text)["message"])
    return text


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
                # Importing the SDK is slow, so it is imported only when it is needed.
                self._client = import_module(".sdk", __package__).connect(self.address, self.timeout)
            client: docker.DockerClient = self._client
        return client.api

    def open(self) -> None:
        """Connect now. Raises the same errors as :attr:`api`."""
        _connected = self.api

    def close(self) -> None:
        """Close all connections."""
        self.http.close()
        if self._client is not None:
            self._client.close()
