# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The small HTTP server of a watcher: health, metrics and notifications. It is for this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6
from typing import Any

import msgspec

from ..errors import RunError

#: Bytes of a request's body.
_LONGEST_BODY = 1 << 20
#: Seconds in which a client must send its request, and connections at a time. A client that is slower, or one more of
#: them, is disconnected.
_SECONDS = 10
_MOST = 32


class WebAnswer(msgspec.Struct, frozen=True):
    """An answer to a request."""

    status: HTTPStatus
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"


#: Answers ``GET``.
Get = Callable[[], WebAnswer]
#: Answers ``POST``, by the headers and the body.
Post = Callable[[Mapping[str, str], bytes], WebAnswer]


@contextmanager
def serve(
    address: tuple[str, int], pages: Mapping[str, Get], receivers: Mapping[str, Post]
) -> Iterator[tuple[str, int]]:
    """Serve pages until the end of the ``with`` statement, in threads of their own.

    Args:
        address: IP address and port; 0 for any free port.
        pages: What answers ``GET``, by path.
        receivers: What answers ``POST``, by path.

    Yields:
        The address and the port that are served.

    Raises:
        RunError: The port is in use, or the address is not one of this machine.
    """
    try:
        server = _Server(address, pages, receivers)
    except OSError as error:
        raise RunError(
            f"{address[0]}:{address[1]} cannot be served ({error.strerror}); set watch_listen to another port, or to "
            "an empty string"
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield address[0], int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], pages: Mapping[str, Get], receivers: Mapping[str, Post]) -> None:
        if ":" in address[0]:
            self.address_family = AF_INET6
        self.pages, self.receivers = pages, receivers
        self._free = threading.Semaphore(_MOST)
        super().__init__(address, _WatchHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing about clients that disconnect."""


class _WatchHandler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "tierwright"
    sys_version = ""
    timeout = _SECONDS

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        self._send(page() if page else self._unknown(self.server.receivers))

    def do_POST(self) -> None:
        receiver = self.server.receivers.get(self.path.partition("?")[0])
        if receiver is None:
            self._send(self._unknown(self.server.pages))
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            self._send(WebAnswer(HTTPStatus.LENGTH_REQUIRED, b"a Content-Length is required\n"))
        elif len(length) > len(str(_LONGEST_BODY)) or int(length) > _LONGEST_BODY:
            self._send(WebAnswer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"the body is larger than 1 MiB\n"))
        else:
            self._send(receiver(dict(self.headers), self.rfile.read(int(length))))

    def log_message(self, *_arguments: object) -> None:
        """Print nothing for each request."""

    def _unknown(self, others: Mapping[str, object]) -> WebAnswer:
        if self.path.partition("?")[0] in others:
            return WebAnswer(HTTPStatus.METHOD_NOT_ALLOWED, b"this method is not allowed here\n")
        return WebAnswer(HTTPStatus.NOT_FOUND, b"there is nothing here\n")

    def _send(self, answer: WebAnswer) -> None:
        self.close_connection = True
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)
