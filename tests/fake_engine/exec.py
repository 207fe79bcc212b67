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
from fake_engine.world import HeldContainer, asked, unasked

_FRAME = struct.Struct(">BxxxL")


class FakeExec(Exec):
    def __init__(self, engine: Any) -> None:
        super().__init__(unasked())
        self._engine = engine

    @asked
    def run(
        self,
        container: str,
        argv: list[str],
        *,
        stdin: Iterable[bytes] = (),
        take: Callable[[int, bytes], None],
        user: str = "",  # noqa: ARG002 - everybody may do everything here
    ) -> int:
        done = shell.run(self._running(container), argv, b"".join(stdin))
        for stream, data in ((STDOUT, done.stdout), (STDERR, done.stderr)):
            if data:
                take(stream, data)
        if done.code is None:
            raise ContainerGoneError(self.why_gone(container))
        return done.code

    @contextmanager
    def started(self, container: str, argv: list[str], user: str) -> Iterator[StartedCommand]:  # noqa: ARG002 - as above
        done = shell.run(self._running(container), argv, b"")
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                for stream, data in ((STDOUT, done.stdout), (STDERR, done.stderr)):
                    theirs.sendall(_FRAME.pack(stream, len(data)) + data)
            yield StartedCommand(ours, b"", can_end_input=True, status=lambda: done.code)

    @contextmanager
    def attach(self, container: str, argv: list[str], user: str) -> Iterator[StartedCommand]:
        with self.started(container, argv, user) as command:
            yield command

    @asked
    def user_of(self, container: str) -> str:
        return self._engine.world.container(container, f"looking at build container {container}").user

    @asked
    def why_gone(self, container: str) -> str:
        try:
            found = self._engine.world.container(container, "")
        except MissingError:
            return f"build container {container} does not exist any more; it was removed"
        return f"build container {container} is {found.state} (exit status {found.exit_code})"

    @asked
    def ends(self, container: str) -> bool:
        try:
            return not self._engine.world.container(container, "").runs
        except MissingError:
            return True

    def _running(self, container: str) -> HeldContainer:
        if self.ends(container):
            raise ContainerGoneError(self.why_gone(container))
        found = self._engine.world.container(container, "")
        if found.state == "paused":
            raise EngineError(f"running a command in container {container}: the engine says: it is paused")
        return found
