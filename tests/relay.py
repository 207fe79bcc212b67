"""A TCP address for an engine that listens on a socket: what a remote engine is to a client.

And one that stops at a request, so that a test can kill whom it likes at that very moment.
"""

from __future__ import annotations

import re
import socket
import threading


class Relay(threading.Thread):
    """Carries TCP connections to the engine's socket, each half closed when its source is."""

    def __init__(self, target: str) -> None:
        super().__init__(daemon=True)
        self._target = target
        self._door = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._door.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                near, _peer = self._door.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self._target)
            except OSError:  # nobody is there, which is what the client must see too
                near.close()
                far.close()
                continue
            threads = [threading.Thread(target=self._carry, args=pair) for pair in ((near, far), (far, near))]
            threading.Thread(target=self._see_off, args=(threads, near, far), daemon=True).start()

    def close(self) -> None:
        if self._door.fileno() == -1:
            return
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._pass(data, target)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def _pass(self, data: bytes, target: socket.socket) -> None:
        target.sendall(data)

    @staticmethod
    def _see_off(threads: list[threading.Thread], near: socket.socket, far: socket.socket) -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        near.close()
        far.close()


class Gate(Relay):
    """A relay that holds back the request number `number` that looks like `request`, and all that comes later.

    `open` lets it go on; what is held back when it is closed never arrives: `close` ends every connection.
    """

    def __init__(self, target: str, request: str, number: int = 1) -> None:
        super().__init__(target)
        self._request = re.compile(request.encode())
        self._left = number
        self._decided = threading.Event()
        self._opened = False
        #: Set when the request has come.
        self.reached = threading.Event()

    def _pass(self, data: bytes, target: socket.socket) -> None:
        if self._request.match(data):
            self._left -= 1
            if self._left == 0:
                self.reached.set()
        if self.reached.is_set():
            self._decided.wait()
            if not self._opened:
                target.shutdown(socket.SHUT_RDWR)
                raise ConnectionAbortedError
        super()._pass(data, target)

    def open(self) -> None:
        self._opened = True
        self._decided.set()

    def close(self) -> None:
        self._decided.set()
        super().close()
