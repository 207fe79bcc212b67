"""A small HTTP server on this machine, for tests of HTTP clients."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

#: Status, headers and body of a response.
Answer = tuple[int, Mapping[str, str], bytes]


@contextmanager
def http_server(answer: Callable[[str, Mapping[str, str]], Answer], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve the responses of `answer`, which gets path and headers. Yields host and port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.wfile.write(self._respond())

        def do_HEAD(self) -> None:
            self._respond()

        def _respond(self) -> bytes:
            status, headers, body = answer(self.path, cast(Mapping[str, str], self.headers))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            return body

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
