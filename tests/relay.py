"""A relay that makes an engine with a local socket reachable over TCP, like a remote engine. It relays TCP ports, too.

A holding relay stops at a given request, so that a test can kill a process at exactly this moment.
"""

from __future__ import annotations

import re
import socket
import threading


class Relay(threading.Thread):
    """Forwards TCP connections to a local socket or port. It closes each direction when its source is closed."""

    def __init__(self, target: str, port: int = 0) -> None:
        """Take the path of the socket, or the port on this machine, and the port to listen at; 0 for any."""
        super().__init__(daemon=True)
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", port))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                near, _peer = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_INET if self._target.isdecimal() else socket.AF_UNIX)
            try:
                far.connect(("127.0.0.1", int(self._target)) if self._target.isdecimal() else self._target)
            except OSError:  # no engine; close, so that the client sees the same
                near.close()
                far.close()
                continue
            threads = [threading.Thread(target=self._forward, args=pair) for pair in ((near, far), (far, near))]
            threading.Thread(target=self._serve, args=(threads, near, far), daemon=True).start()

    def close(self) -> None:
        if self._listener.fileno() == -1:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._send(data, target)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def _send(self, data: bytes, target: socket.socket) -> None:
        target.sendall(data)

    @staticmethod
    def _serve(threads: list[threading.Thread], near: socket.socket, far: socket.socket) -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        near.close()
        far.close()


class HoldingRelay(Relay):
    """A relay that holds the piece of data number `number` that matches the pattern `request`, and all later data.

    `open` forwards the held data. `close` discards it, and ends every connection.
    """

    def __init__(self, target: str, request: str, number: int = 1, port: int = 0) -> None:
        super().__init__(target, port)
        self._request = re.compile(request.encode())
        self._remaining, self._number = number, number
        self._decided = threading.Event()
        self._opened = False
        #: Set when the request has arrived.
        self.reached = threading.Event()

    def _send(self, data: bytes, target: socket.socket) -> None:
        if self._request.match(data):
            self._remaining -= 1
            if self._remaining == 0:
                self.reached.set()
        if self.reached.is_set():
            self._decided.wait()
            if not self._opened:
                target.shutdown(socket.SHUT_RDWR)
                raise ConnectionAbortedError
        super()._send(data, target)

    @property
    def matched(self) -> int:
        """How many pieces of data matched."""
        return self._number - self._remaining

    def open(self) -> None:
        self._opened = True
        self._decided.set()

    def close(self) -> None:
        self._decided.set()
        super().close()
