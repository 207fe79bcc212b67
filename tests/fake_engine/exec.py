"""Commands in the containers of a fake engine."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.api_errors import MissingError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.exec import Exec
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.streams import (
    STDERR,
    STDOUT,
    StartedCommand,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ContainerGoneError, EngineError
from fake_engine import shell
from fake_engine.world import StoredContainer, engine_call, no_session

_FRAME = struct.Struct(">BxxxL")


class FakeExec(Exec):
    def __init__(self, engine: Any) -> None:
        super().__init__(no_session())
        self._engine = engine

    @engine_call
    def run(
        self,
        container: str,
        argv: list[str],
        *,
        stdin: Iterable[bytes] = (),
        take: Callable[[int, bytes], None],
        user: str = "",  # noqa: ARG002 - here, every user has all rights
    ) -> int:
        result = shell.run(self._running(container), argv, b"".join(stdin))
        for stream, data in ((STDOUT, result.stdout), (STDERR, result.stderr)):
            if data:
                take(stream, data)
        if result.code is None:
            raise ContainerGoneError(self.why_gone(container))
        return result.code

    @contextmanager
    def started(self, container: str, argv: list[str], user: str) -> Iterator[StartedCommand]:  # noqa: ARG002 - as above
        result = shell.run(self._running(container), argv, b"")
        client, server = socket.socketpair()
        with client:
            with server:
                for stream, data in ((STDOUT, result.stdout), (STDERR, result.stderr)):
                    server.sendall(_FRAME.pack(stream, len(data)) + data)
            yield StartedCommand(client, b"", can_end_input=True, status=lambda: result.code)

    @contextmanager
    def attach(self, container: str, argv: list[str], user: str) -> Iterator[StartedCommand]:
        with self.started(container, argv, user) as command:
            yield command

    @engine_call
    def user_of(self, container: str) -> str:
        return self._engine.world.container(container, f"looking at build container {container}").user

    @engine_call
    def why_gone(self, container: str) -> str:
        try:
            stored = self._engine.world.container(container, "")
        except MissingError:
            return f"build container {container} does not exist any more; it was removed"
        return f"build container {container} is {stored.state} (exit status {stored.exit_code})"

    @engine_call
    def ends(self, container: str) -> bool:
        try:
            return not self._engine.world.container(container, "").runs
        except MissingError:
            return True

    def _running(self, container: str) -> StoredContainer:
        if self.ends(container):
            raise ContainerGoneError(self.why_gone(container))
        stored = self._engine.world.container(container, "")
        if stored.state == "paused":
            raise EngineError(f"running a command in container {container}: the engine says: it is paused")
        return stored
