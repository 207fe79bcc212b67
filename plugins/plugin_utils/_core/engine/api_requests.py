# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""GET requests to one engine, without the Docker SDK where that is possible (:func:`reachable_directly`).

Importing the SDK takes longer than most requests, and each of its calls is slow. A run with nothing to do never imports
it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from email.message import Message
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import quote, urlsplit

from ..errors import EngineError, EngineUnavailableError, NotFoundError
from .api_errors import ADVICE, StatusError
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


def error_response(address: str, path: str, error: StatusError) -> str:
    """Return a message about a response with an error status."""
    return f"the engine at {address} answered {path} with status {error.status}: {error}"


def in_path(name: str) -> str:
    """Quote a name for the path of a request."""
    return quote(name, safe="/:@")


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
        weakref.finalize(self, _close_all, self._opened)

    def close(self) -> None:
        """Close all connections."""
        _close_all(self._opened)

    def json(self, path: str) -> Any:
        """Get ``path`` of the Engine API.

        Raises:
            NotFoundError: The object does not exist on the engine.
            EngineError: The engine rejected the request, or its response is not JSON.
            EngineUnavailableError: The engine does not answer.
        """
        with self.stream(path) as answer:
            return self._decode(path, answer)

    def ping(self) -> Message:
        """Return the headers of the response to a ping; empty if the engine needs the SDK, or rejects pings.

        Raises:
            EngineUnavailableError: The engine does not answer.
        """
        if not reachable_directly(self.address):
            return Message()
        try:
            with self.stream("/_ping") as answer:
                while answer.read(1 << 16):
                    pass
                return cast(http.client.HTTPResponse, answer).headers
        except EngineUnavailableError:
            raise
        except (EngineError, NotFoundError):
            return Message()

    def request(self, path: str) -> Any:
        """Get ``path`` of the Engine API as :meth:`json` does, with errors for :func:`.translate_errors`.

        Raises:
            StatusError: The engine rejected the request.
            EngineError: The response is not JSON.
            OSError: The engine does not answer.
        """
        try:
            with self._answer(path) as answer:
                return self._decode(path, answer)
        except http.client.HTTPException as error:
            raise ConnectionError(str(error) or type(error).__name__) from error

    def _decode(self, path: str, answer: AnswerBody) -> Any:
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
            with self._answer(path) as answer:
                yield answer
        except StatusError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise NotFoundError(f"the engine at {self.address} says: {error}") from error
            raise EngineError(error_response(self.address, path, error)) from error
        except (OSError, http.client.HTTPException) as error:
            raise EngineUnavailableError(
                f"no container engine answers at {self.address} ({error}); {ADVICE}"
            ) from error

    @contextlib.contextmanager
    def _answer(self, path: str) -> Iterator[AnswerBody]:
        try:
            if reachable_directly(self.address):
                answer = self._directly(path)
                yield answer
                if not answer.isclosed():  # it was not read to the end
                    self._drop_connection()
            else:
                yield self._with_sdk(path)
        except StatusError:
            raise  # the response was read to its end
        except BaseException:
            self._drop_connection()  # the rest of the response is still unread
            raise

    def _directly(self, path: str) -> http.client.HTTPResponse:
        connected: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        try:
            answer = self._send(path)
        except ConnectionError:
            if connected is None:
                raise
            self._drop_connection()  # the engine closed it after an earlier response
            answer = self._send(path)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise StatusError(answer.status, answer.read())
        return answer

    def _send(self, path: str) -> http.client.HTTPResponse:
        connected: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connected is None:
            connected = self._local.connection = connection(self.address, _TIMEOUT)
            self._opened.append(connected)
        connected.request("GET", path)
        return connected.getresponse()

    def _with_sdk(self, path: str) -> AnswerBody:
        api = self._sdk()
        answer = api.get(api.base_url + path, stream=True, timeout=_TIMEOUT)
        if not answer.ok:
            raise StatusError(answer.status_code, answer.content)
        return ChunkReader(answer.iter_content(1 << 20))  # unlike the underlying stream, this raises OSErrors

    def _drop_connection(self) -> None:
        connected = getattr(self._local, "connection", None)
        if connected is not None:
            connected.close()
            self._opened.remove(connected)
            self._local.connection = None


def _close_all(connections: list[http.client.HTTPConnection]) -> None:
    for connected in connections:
        connected.close()
