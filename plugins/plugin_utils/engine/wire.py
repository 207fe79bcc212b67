# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starting a command without the SDK, whose import takes longer than everything else that starts an agent.

Only what :mod:`.exec` does too, for engines behind a local socket or plain TCP; others need the SDK. The calls are
those of the Engine API (``POST /containers/{id}/exec``, ``POST /exec/{id}/start``), which Podman speaks as well.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from ..errors import EngineError, EngineUnavailableError, concerning
from .stream import Started, buffered

#: Seconds that an answer may take.
_ANSWER_TIMEOUT = 60


def speaks(address: str) -> bool:
    """Say whether the engine at ``address`` can be spoken to without the SDK."""
    plain = address.startswith("tcp://") and not os.environ.get("DOCKER_TLS_VERIFY")
    return address.startswith("unix://") or plain


class Engine:
    """An engine, asked directly."""

    def __init__(self, address: str) -> None:
        """Take an address that :func:`speaks` says yes to; nothing is opened yet."""
        self._address = address

    def user_of(self, container: str) -> str:
        """The user that a container's commands run as unless they say otherwise; empty for root.

        Raises:
            EngineError: There is no such container.
            EngineUnavailableError: The engine does not answer.
        """
        with self._understood():
            return str(self._ask("GET", f"/containers/{quote(container, safe='')}/json")["Config"].get("User") or "")

    @contextlib.contextmanager
    def started(self, container: str, argv: list[str], user: str) -> Iterator[Started]:
        """Start a command, and let go of its stream at the end of the ``with`` statement.

        Args:
            container: Name or ID of a running container.
            argv: The command and its arguments.
            user: ``name``, ``uid`` or ``uid:gid``.

        Raises:
            EngineError: The engine refused: the container does not run, or does not exist.
            EngineUnavailableError: The engine does not answer.
        """
        streams = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
        asked = {"Cmd": argv, "User": user, "Tty": False, **streams}
        with self._understood():
            made = str(self._ask("POST", f"/containers/{quote(container, safe='')}/exec", asked)["Id"])
        with contextlib.closing(connection(self._address)) as connected:
            upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
            answer = self._send(connected, "POST", f"/exec/{made}/start", {"Detach": False, "Tty": False}, upgrade)
            if answer.status not in {HTTPStatus.SWITCHING_PROTOCOLS, HTTPStatus.OK}:
                raise EngineError(self._refusal(f"/exec/{made}/start", answer))
            sock = connected.sock
            yield Started(sock, buffered(answer.fp, sock), can_tell_the_end=True, status=lambda: self._status(made))

    def _status(self, made: str) -> int | None:
        with self._understood():
            found = self._ask("GET", f"/exec/{made}/json")
            return None if found["Running"] else found["ExitCode"]

    def _understood(self) -> contextlib.AbstractContextManager[None]:
        return concerning(f"the engine at {self._address}: its answer cannot be understood", EngineError)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        with contextlib.closing(connection(self._address)) as connected:
            answer = self._send(connected, method, path, body, {})
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise EngineError(self._refusal(path, answer))
            return json.loads(answer.read())

    def _send(
        self, connected: http.client.HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        content = {} if body is None else {"Content-Type": "application/json"}
        try:
            connected.request(method, path, None if body is None else json.dumps(body), {**content, **headers})
            return connected.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise EngineUnavailableError(f"no container engine answers at {self._address} ({error})") from error

    def _refusal(self, path: str, answer: http.client.HTTPResponse) -> str:
        told = answer.read().decode(errors="replace")
        with contextlib.suppress(ValueError, KeyError, TypeError):
            told = json.loads(told)["message"]
        return f"the engine at {self._address} answered {path} with {answer.status}: {told}"


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
