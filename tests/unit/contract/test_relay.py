"""Requests to web servers in networks that this machine cannot reach."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.relay import Relay


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def run(
    container: str, argv: list[str], *, stdin: Iterable[bytes], take: Callable[[int, bytes], None], user: str = ""
) -> int:
    """Run a command on this machine, as the engine does in a container."""
    assert (container, user) == ("helper", "")
    process = subprocess.run(argv, input=b"".join(stdin), capture_output=True, check=False)
    take(1, process.stdout)
    take(2, process.stderr)
    return process.returncode


@pytest.fixture
def relay() -> Relay:
    return Relay(SimpleNamespace(exec=SimpleNamespace(run=run)), lambda: ("helper", sys.executable))


def test_a_request_and_its_answer_go_through_the_helper(relay, port):
    connection = relay.connection("127.0.0.1", port, 10)
    connection.request("POST", "/", b"\0\xff" * 100_000, {"Connection": "close"})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (201, b"\0\xff" * 100_000)
    connection.close()


def test_a_refused_connection_is_an_os_error(relay):
    connection = relay.connection("127.0.0.1", 1, 10)
    connection.request("GET", "/")
    with pytest.raises(OSError, match=r"127.0.0.1 port 1: .*Connection refused"):
        connection.getresponse()
