# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asking the engine what it holds: many small answers quickly, and large ones as a stream.

Without the SDK where the engine can be reached without it (:func:`.wire.speaks`): its import takes longer than most
answers, and so does each of its calls.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib
import json
import threading
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Protocol

from ..errors import EngineError, EngineUnavailableError, NotFoundError
from . import wire
from .address import engine_address
from .pieces import Pieces

#: Seconds between two pieces of an answer; an engine packs a whole image before it sends the first.
_TIMEOUT = 600


class Answer(Protocol):
    """The body of an answer."""

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes; none at the end."""


class Asking:
    """The engine that DOCKER_HOST names, else that of the local socket; threads may share it."""

    def __init__(self) -> None:
        """Remember the address; nothing is opened yet."""
        self.address = engine_address()
        self._mine = threading.local()
        self._opened: list[http.client.HTTPConnection] = []
        self._session: Any = None

    def close(self) -> None:
        """Close all connections."""
        for connected in self._opened:
            connected.close()
        if self._session is not None:
            self._session.close()

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
    def stream(self, path: str) -> Iterator[Answer]:
        """Get ``path`` of the Engine API as a stream; raises what :meth:`json` does."""
        try:
            if wire.speaks(self.address):
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
            connected = self._mine.connection = wire.connection(self.address, _TIMEOUT)
            self._opened.append(connected)
        connected.request("GET", path)
        answer = connected.getresponse()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise self._refusal(path, answer.status, answer.read())
        return answer

    def _with_sdk(self, path: str) -> Answer:
        if self._session is None:
            self._session = importlib.import_module(".client", __package__).connect(_TIMEOUT).api
        answer = self._session.get(self._session.base_url + path, stream=True, timeout=_TIMEOUT)
        if not answer.ok:
            raise self._refusal(path, answer.status_code, answer.content)
        return Pieces(answer.iter_content(1 << 20))  # which raises OSErrors, unlike the stream below it

    def _forget(self) -> None:
        connected = getattr(self._mine, "connection", None)
        if connected is not None:
            connected.close()
            self._mine.connection = None

    def _refusal(self, path: str, status: int, content: bytes) -> Exception:
        told = content.decode(errors="replace").strip()
        with contextlib.suppress(ValueError, KeyError, TypeError):
            told = json.loads(told)["message"]
        if status == HTTPStatus.NOT_FOUND:
            return NotFoundError(f"the engine at {self.address} says: {told}")
        return EngineError(f"the engine at {self.address} answered {path} with {status}: {told}")
