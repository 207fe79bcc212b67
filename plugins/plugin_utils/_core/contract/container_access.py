# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Testinfra backend and HTTP relay into a container.

How testinfra reaches a container: through the engine's own interface, wherever the engine is.

HTTP requests to containers on a network that this machine does not have, through a helping container on it.

This machine cannot reach the containers of a rootless engine, of an engine in a virtual machine, or of a remote engine.
Their addresses may even belong to other servers here.
"""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from ..engine.engine import Engine
from ..engine.streams import Output


class EngineBackend(BaseBackend):
    """Runs testinfra's commands with the image's own shell."""

    NAME = "tierwright"

    def __init__(
        self, engine: Engine, name: str, container: Callable[[], str], user: str = "", **settings: Any
    ) -> None:
        """Remember how to get at the container; nothing is started yet.

        Args:
            engine: The engine.
            name: What the container is called in reports.
            container: Gives the ID of the container that the next command runs in.
            user: ``name``, ``uid`` or ``uid:gid``; empty for the container's own.
            settings: What testinfra adds.
        """
        super().__init__(name, **settings)
        self._engine, self._container, self._user = engine, container, user

    def run(self, command_line: str, *args: str, **_settings: Any) -> CommandResult:
        """Run a command line; its ``%s`` become ``args``, quoted.

        Raises:
            ContainerGoneError: The container has ended.
            EngineError: The engine refused.
        """
        line, output = self.get_command(command_line, *args), Output()
        argv = ["/bin/sh", "-c", line]
        code = self._engine.exec.run(self._container(), argv, take=output.take, user=self._user)
        return self.result(code, line.encode(), bytes(output.stdout), bytes(output.stderr))

    def get_encoding(self) -> str:
        """Every image is taken to speak UTF-8: what has no Python cannot be asked."""
        return "utf-8"


def host(engine: Engine, name: str, container: Callable[[], str], user: str = "") -> Host:
    """A testinfra ``Host``; the arguments are those of :class:`EngineBackend`."""
    backend = EngineBackend(engine, name, container, user)
    made = Host(backend)
    backend.set_host(made)
    return made


#: Sends what it reads, and writes what it receives.
_CARRY = """
import socket, sys
host, port, seconds = sys.argv[1:]
try:
    with socket.create_connection((host, int(port)), float(seconds)) as connection:
        connection.sendall(sys.stdin.buffer.read())
        while piece := connection.recv(65536):
            sys.stdout.buffer.write(piece)
except OSError as error:
    sys.exit(str(error))
"""

#: A command that a helper waits with, and its arguments.
WAITING = ("-c", "import signal; signal.pause()")


class Relay:
    """The way to the network of a session."""

    def __init__(self, engine: Engine, helper: Callable[[], tuple[str, str]]) -> None:
        """Take what makes the helper.

        Args:
            engine: The engine.
            helper: Gives a container on that network, and the Python in it; called for each request.
        """
        self._engine, self._helper = engine, helper

    def connection(self, address: str, port: int, timeout: float) -> http.client.HTTPConnection:
        """Make a connection for one request; its server has to end it, so let the request say ``Connection: close``.

        Args:
            address: The server's address on the network.
            port: Its port.
            timeout: Seconds that it may take to answer.
        """
        made = http.client.HTTPConnection(address, port, timeout=timeout)
        made.sock = _Exchange(lambda request: self._exchange(address, port, timeout, request))
        return made

    def _exchange(self, address: str, port: int, timeout: float, request: bytes) -> bytes:
        container, python = self._helper()
        output = Output()
        words = [python, "-c", _CARRY, address, str(port), str(timeout)]
        code = self._engine.exec.run(container, words, stdin=[request], take=output.take)
        if code != 0:
            raise ConnectionError(f"{address} port {port}: {output.stderr.decode(errors='replace').strip()}")
        return bytes(output.stdout)


class _Exchange:
    """What ``http.client`` asks of a socket, for one request and its answer."""

    def __init__(self, exchange: Callable[[bytes], bytes]) -> None:
        self._exchange, self._request = exchange, bytearray()

    def sendall(self, data: bytes) -> None:
        self._request += data

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Answer(lambda: self._exchange(bytes(self._request))))

    def close(self) -> None:
        """Nothing is open."""


class _Answer(io.RawIOBase):
    """An answer that is fetched when it is read: ``http.client`` expects errors there, and not before."""

    def __init__(self, fetch: Callable[[], bytes]) -> None:
        super().__init__()
        self._fetch = fetch
        self._fetched: io.BytesIO | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._fetched is None:
            self._fetched = io.BytesIO(self._fetch())
        return self._fetched.readinto(buffer)
