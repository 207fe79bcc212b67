"""A TCP address for an engine that listens on a socket: what a remote engine is to a client."""

from __future__ import annotations

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
            far.connect(self._target)
            threads = [threading.Thread(target=self._carry, args=pair) for pair in ((near, far), (far, near))]
            threading.Thread(target=self._see_off, args=(threads, near, far), daemon=True).start()

    def close(self) -> None:
        if self._door.fileno() == -1:
            return
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    @staticmethod
    def _see_off(threads: list[threading.Thread], near: socket.socket, far: socket.socket) -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        near.close()
        far.close()
