# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way to one engine, and its API without the SDK.

The engine's API without the SDK, where the engine can be reached without it (:func:`speaks`).

The SDK's import takes longer than most answers, and so does each of its calls.

The way to one engine, which all rooms share.
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
from .chunks import Pieces

if TYPE_CHECKING:
    import docker

if TYPE_CHECKING:
    import docker

#: Seconds that an answer may take where nothing large is asked for.
_ANSWER_TIMEOUT = 60

#: Seconds between two pieces of an answer; an engine packs a whole image before it sends the first.
_TIMEOUT = 600


def speaks(address: str) -> bool:
    """Say whether the engine at ``address`` can be spoken to without the SDK."""
    plain = address.startswith("tcp://") and not os.environ.get("DOCKER_TLS_VERIFY")
    return address.startswith("unix://") or plain


def connection(address: str, timeout: float = _ANSWER_TIMEOUT) -> http.client.HTTPConnection:
    """Make a connection to the engine at an address that :func:`speaks` says yes to; it opens at the first request."""
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


def refusal(address: str, path: str, status: int, content: bytes) -> str:
    """Say in a sentence what the engine at an address refused."""
    return f"the engine at {address} answered {path} with {status}: {_words(content)}"


class AnswerBody(Protocol):
    """The body of an answer."""

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes; none at the end."""


class Http:
    """What can be got from one engine; threads may share it."""

    def __init__(self, address: str, sdk: Callable[[], docker.APIClient]) -> None:
        """Remember the way; nothing is opened yet.

        Args:
            address: As in ``DOCKER_HOST``.
            sdk: Connects with the SDK, for engines that only it can reach: over ssh, and behind TLS.
        """
        self.address, self._sdk = address, sdk
        self._mine = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Close all connections."""
        for connected in self._opened:
            connected.close()

    def json(self, path: str) -> Any:
        """Get ``path`` of the Engine API.

        Raises:
            NotFoundError: The engine holds no such thing.
            EngineError: The engine refused.
            EngineUnavailableError: The engine does not answer.
        """
        with self.stream(path) as answer:
            content = b"".join(iter(lambda: answer.read(1 << 20), b""))
        try:
            return json.loads(content)
        except ValueError as error:
            raise EngineError(f"the engine at {self.address} answered {path} with something that is no JSON") from error
        except RecursionError as error:
            raise EngineError(f"the engine at {self.address} answered {path} with JSON nested too deep") from error

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[AnswerBody]:
        """Get ``path`` of the Engine API as a stream; raises what :meth:`json` does."""
        try:
            if speaks(self.address):
                answer = self._directly(path)
                yield answer
                if not answer.isclosed():  # it was not read to its end
                    self._forget()
            else:
                yield self._with_sdk(path)
        except (OSError, http.client.HTTPException) as error:
            self._forget()
            raise EngineUnavailableError(
                f"no container engine answers at {self.address} ({error}); "
                "start one, or set DOCKER_HOST to one that runs"
            ) from error
        except BaseException:
            self._forget()  # an answer that was left half read
            raise

    def _directly(self, path: str) -> http.client.HTTPResponse:
        connected: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        if connected is None:
            connected = self._mine.connection = connection(self.address, _TIMEOUT)
            self._opened.append(connected)
        connected.request("GET", path)
        answer = connected.getresponse()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise self._refusal(path, answer.status, answer.read())
        return answer

    def _with_sdk(self, path: str) -> AnswerBody:
        api = self._sdk()
        answer = api.get(api.base_url + path, stream=True, timeout=_TIMEOUT)
        if not answer.ok:
            raise self._refusal(path, answer.status_code, answer.content)
        return Pieces(answer.iter_content(1 << 20))  # which raises OSErrors, unlike the stream below it

    def _forget(self) -> None:
        connected = getattr(self._mine, "connection", None)
        if connected is not None:
            connected.close()
            self._mine.connection = None

    def _refusal(self, path: str, status: int, content: bytes) -> Exception:
        if status == HTTPStatus.NOT_FOUND:
            return NotFoundError(f"the engine at {self.address} says: {_words(content)}")
        return EngineError(refusal(self.address, path, status, content))


def _words(content: bytes) -> str:
    words = content.decode(errors="replace").strip()
    with contextlib.suppress(ValueError, KeyError, TypeError):
        words = str(json.loads(words)["message"])
    return words


class EngineSession:
    """One engine's address and what was opened to it: nothing before it is needed."""

    def __init__(self, address: str, timeout: int) -> None:
        """Remember where.

        Args:
            address: As in ``DOCKER_HOST``.
            timeout: Seconds that one answer may take.
        """
        self.address, self.timeout = address, timeout
        self._client: Any = None
        self._lock = threading.Lock()
        #: What can be got without the SDK.
        self.http = Http(address, lambda: self.api)

    @property
    def api(self) -> docker.APIClient:
        """The SDK, connected.

        Raises:
            EngineUnavailableError: No engine answers, or it is older than Docker 20.10.
        """
        with self._lock:
            if self._client is None:
                # The SDK's import takes longer than most answers, so it waits until somebody needs it.
                self._client = import_module(".sdk", __package__).connect(self.address, self.timeout)
            client: docker.DockerClient = self._client
        return client.api

    def open(self) -> None:
        """Connect now; raises what :attr:`api` does."""
        _connected = self.api

    def close(self) -> None:
        """Close what was opened."""
        self.http.close()
        if self._client is not None:
            self._client.close()
