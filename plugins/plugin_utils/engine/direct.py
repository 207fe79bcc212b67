# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starting a command without the SDK, whose import takes longer than everything else that starts an agent.

Only what :mod:`.exec` does too, for engines that :func:`.http.speaks` says yes to; others need the SDK. The calls are
those of the Engine API (``POST /containers/{id}/exec``, ``POST /exec/{id}/start``), which Podman speaks as well.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from ..errors import EngineError, EngineUnavailableError, concerning
from .http import connection, refusal
from .stream import Started, buffered


class DirectExec:
    """Commands in the containers of one engine that is asked directly."""

    def __init__(self, address: str) -> None:
        """Take an address that :func:`.http.speaks` says yes to; nothing is opened yet."""
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
                raise EngineError(refusal(self._address, f"/exec/{made}/start", answer.status, answer.read()))
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
                raise EngineError(refusal(self._address, path, answer.status, answer.read()))
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
