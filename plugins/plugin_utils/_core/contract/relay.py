# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP requests to the network of containers that this machine cannot reach.

This machine cannot reach the network of containers of a rootless engine, of an engine in a virtual machine, or of a
remote engine. Their addresses may even belong to other servers on this machine's network. Then HTTP requests go through
a helper container on the network of the containers.
"""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable
from typing import Any

from ..engine.engine import Engine
from ..engine.streams import Output

#: Program that sends its input to a server, and writes the server's answer to its output.
_RELAY_PROGRAM = """
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

#: Arguments with which Python waits for ever, for the first process of the helper.
IDLE_ARGUMENTS = ("-c", "import signal; signal.pause()")


class Relay:
    """Sends HTTP requests to the network of a test session, through a helper container."""

    def __init__(self, engine: Engine, helper: Callable[[], tuple[str, str]]) -> None:
        """Take the engine and the helper.

        Args:
            engine: The engine.
            helper: Returns the ID of a container on that network, and the path of its Python; called for each request.
        """
        self._engine, self._helper = engine, helper

    def connection(self, address: str, port: int, timeout: float) -> http.client.HTTPConnection:
        """Make a connection for one request. The server must end it, so the request needs ``Connection: close``.

        Args:
            address: The server's address on the network.
            port: Its port.
            timeout: Time limit for each step of the exchange, in seconds.
        """
        connection = http.client.HTTPConnection(address, port, timeout=timeout)
        connection.sock = _Exchange(lambda request: self._exchange(address, port, timeout, request))
        return connection

    def _exchange(self, address: str, port: int, timeout: float, request: bytes) -> bytes:
        container, python = self._helper()
        output = Output()
        command = [python, "-c", _RELAY_PROGRAM, address, str(port), str(timeout)]
        code = self._engine.exec.run(container, command, stdin=[request], take=output.take)
        if code != 0:
            raise ConnectionError(f"{address} port {port}: {output.stderr.decode(errors='replace').strip()}")
        return bytes(output.stdout)


class _Exchange:
    """The methods of a socket that ``http.client`` uses, for one request and its answer."""

    def __init__(self, exchange: Callable[[bytes], bytes]) -> None:
        self._exchange, self._request = exchange, bytearray()

    def sendall(self, data: bytes) -> None:
        self._request += data

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Answer(lambda: self._exchange(bytes(self._request))))

    def close(self) -> None:
        """Do nothing, because nothing is open."""


class _Answer(io.RawIOBase):
    """An answer that is fetched when it is read, because ``http.client`` expects errors at that point."""

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
