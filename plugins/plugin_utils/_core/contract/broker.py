# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The broker: does for tests in a sandbox what their fixtures need, and nothing else.

All that comes from the sandbox is hostile. An operation is possible only on containers that this session started, from
the image under test or a named neighbour. They never reach outside networks.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..agent.inside.frames import ProtocolError
from ..errors import ContractError, TierwrightError, describe_error
from ..records import decode
from .container_operations import ContainerSource, ContainerUnderTest, HttpRequest
from .inside import messages
from .session_result import SessionResult

#: Operations that are done at the same time, and calls that may wait for one.
_PARALLEL, _MOST_WAITING = 4, 64
#: Limit of the containers of one session.
_MOST_CONTAINERS = 64
_LONGEST_TIMEOUT = 600
_HIGHEST_PORT = 65535


class _Start(msgspec.Struct, frozen=True):
    tier: str | None
    env: dict[str, str]
    alias: str | None
    user: str | None
    command: list[str] | None


class _Run(msgspec.Struct, frozen=True):
    container: str
    argv: list[str]


class _Logs(msgspec.Struct, frozen=True):
    container: str
    lines: int | None


class _Stop(msgspec.Struct, frozen=True):
    container: str
    timeout: int


class _Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    port: int
    headers: dict[str, str]
    body: str | None
    timeout: float


class _Send(msgspec.Struct, frozen=True):
    container: str
    request: _Request


class _OfContainer(msgspec.Struct, frozen=True):
    container: str


class _Operation(msgspec.Struct, frozen=True):
    operation: str


class SandboxEnd(msgspec.Struct, frozen=True):
    """The end of pytest in a sandbox."""

    #: Its exit status.
    status: int
    #: The last lines of its output.
    output: str


@dataclass
class Broker:
    """The broker of one sandbox."""

    #: Starts the containers.
    source: ContainerSource
    #: Writes to the sandbox.
    write: Callable[[bytes], None]
    #: The results; ``None`` until the tests have ended.
    result: SessionResult | None = None
    #: The end of pytest; ``None`` until it has ended.
    end: SandboxEnd | None = None
    _containers: dict[str, ContainerUnderTest] = field(default_factory=dict)
    _started: int = 0
    _waiting: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(_PARALLEL)
        self._messages = messages.Messages(self._take, messages.BROKER_LIMIT)
        self._operations: dict[str, tuple[type[Any], Callable[[Any], Any]]] = {
            "image": (_Operation, lambda _call: dataclasses.asdict(self.source.image)),
            "idle": (_Operation, lambda _call: self._add(self.source.idle())),
            "start": (_Start, self._start),
            "run": (_Run, self._run),
            "state": (_OfContainer, lambda call: dataclasses.asdict(self._find(call.container).state())),
            "logs": (_Logs, lambda call: self._find(call.container).logs(call.lines)),
            "processes": (_OfContainer, lambda call: self._find(call.container).processes()),
            "stop": (_Stop, self._stop),
            "send": (_Send, self._send),
            "remove": (_OfContainer, self._remove),
        }

    def feed(self, data: bytes) -> None:
        """Process what the sandbox wrote.

        Raises:
            ContractError: The sandbox violated the protocol.
        """
        try:
            self._messages.feed(data)
        except (ProtocolError, ValueError, RecursionError) as error:
            raise ContractError(f"its sandbox sent what no sandbox sends: {describe_error(error)}") from error

    def send(self, content: bytes) -> None:
        """Write to the sandbox. If it has ended, nothing happens, because its reader notices that, too."""
        with self._writing, suppress(OSError):
            self.write(content)

    def interrupt(self) -> None:
        """Interrupt the tests, as Ctrl-C does. Then they send their results."""
        self.send(messages.frames_of(0, messages.INTERRUPT))

    def close(self) -> None:
        """Wait for the operations that are being done. The sandbox and the containers must have been removed."""
        self._pool.shutdown(cancel_futures=True)

    def _take(self, channel: int, kind: int, message: bytes) -> None:
        if kind == messages.RESULT:
            self.result = decode(message, SessionResult)
        elif kind == messages.END:
            self.end = decode(message, SandboxEnd)
        elif kind == messages.CALL:
            with self._lock:
                self._waiting += 1
                if self._waiting > _MOST_WAITING:
                    raise ValueError(f"more than {_MOST_WAITING} calls at the same time")
            self._pool.submit(self._serve, channel, message)
        else:
            raise ValueError(f"a message of kind {kind}")

    def _serve(self, channel: int, message: bytes) -> None:
        answer: dict[str, Any]
        try:
            answer = {"value": self._do(message)}
        except TierwrightError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        except OSError as error:
            answer = {"error": "OSError", "message": describe_error(error)}
        except Exception as error:  # noqa: BLE001 - whatever a hostile request causes, the broker goes on
            answer = {"error": "ContractError", "message": f"the broker cannot do this: {describe_error(error)}"}
        with self._lock:
            self._waiting -= 1
        self.send(messages.frames_of(channel, messages.ANSWER, json.dumps(answer).encode()))

    def _do(self, message: bytes) -> Any:
        name = decode(message, _Operation).operation
        if name not in self._operations:
            raise ContractError(f"there is no operation {name!r}; operations are: {', '.join(self._operations)}")
        kind, operation = self._operations[name]
        return operation(decode(message, kind))

    def _find(self, container: str) -> ContainerUnderTest:
        found = self._containers.get(container)
        if found is None:
            raise ContractError(f"{container!r} is not a container of these tests")
        return found

    def _add(self, container: ContainerUnderTest) -> dict[str, Any]:
        self._containers[container.id] = container
        return {
            "id": container.id,
            "tier": container.tier,
            "alias": container.alias,
            "config": dict(container.config),
        }

    def _start(self, call: _Start) -> dict[str, Any]:
        with self._lock:
            self._started += 1
            if self._started > _MOST_CONTAINERS:
                raise ContractError(f"tests of one tier start at most {_MOST_CONTAINERS} containers")
        return self._add(
            self.source.start(call.tier, env=call.env, alias=call.alias, user=call.user, command=call.command)
        )

    def _run(self, call: _Run) -> list[Any]:
        output = self._find(call.container).run(call.argv)
        return [output.code, base64.b64encode(output.stdout).decode(), base64.b64encode(output.stderr).decode()]

    def _stop(self, call: _Stop) -> None:
        self._find(call.container).stop(max(0, min(call.timeout, _LONGEST_TIMEOUT)))

    def _send(self, call: _Send) -> list[Any]:
        request = call.request
        if not 0 < request.port <= _HIGHEST_PORT or request.method not in {"GET", "POST"}:
            raise ContractError(f"{request.method} to port {request.port} is not a request of the fixture 'start'")
        timeout = max(0.1, min(request.timeout, _LONGEST_TIMEOUT))
        wanted = HttpRequest(request.method, request.path, request.port, request.headers, request.body, timeout)
        answer = self._find(call.container).send(wanted)
        return [answer.status, list(answer.headers.items()), answer.body]

    def _remove(self, call: _OfContainer) -> None:
        self.source.remove(self._find(call.container))
        self._containers.pop(call.container, None)
