"""The visitors of tests find every request that a server does not answer as expected, and hide nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from visitors import Visitors

pytestmark = pytest.mark.once

FRONT = "<html>My blog</html>"
FORM = '<html><input id="user_pass"></html>'


class Server(threading.Thread):
    """A server that can misbehave. `answers` maps a method and path to status, headers and body."""

    def __init__(self):
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.answers = {
            "GET /": (200, "", FRONT),
            "GET /wp-login.php": (200, "", FORM),
            "POST /wp-login.php": (302, "Set-Cookie: wordpress_logged_in_1=x\r\n", ""),
        }
        #: Called with the words of a request, and the number of earlier ones on its connection. What it returns
        #: replaces the answer: "close" for none, "end" for the answer and the end of the connection afterwards.
        self.misbehave = lambda _words, _earlier: ""

    def run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def close(self):
        if self._listener.fileno() == -1:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
            earlier = 0
            while line := lines.readline():
                headers = {}
                while header := lines.readline().strip():
                    name, _, value = header.decode().partition(":")
                    headers[name.lower()] = value.strip()
                lines.read(int(headers.get("content-length", 0)))
                words = line.decode().rpartition(" ")[0]
                manner = self.misbehave(words, earlier)
                if manner == "close":
                    return
                status, more, body = self.answers[words]
                answer = f"HTTP/1.1 {status} x\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}"
                connection.sendall(answer.encode())
                if manner == "end" or headers.get("connection") == "close":
                    return
                earlier += 1


@pytest.fixture
def server():
    server = Server()
    server.start()
    yield server
    server.close()
    server.join()


def visit(server, count=24, rate=200, title="My blog"):
    visitors = Visitors(server.address, user="admin", password="pass", title=title, rate=rate, timeout=1)
    with visitors:
        deadline = time.monotonic() + 10
        while len(visitors.so_far().outcomes) < count and time.monotonic() < deadline:
            time.sleep(0.01)
    visits = visitors.so_far()
    assert len(visits.outcomes) >= count
    return visits


def test_a_site_that_answers_has_no_failed_request(server):
    visits = visit(server)
    assert (visits.failed, visits.repeated, visits.reconnected) == ([], [], [])
    assert {outcome.request for outcome in visits.outcomes} == set(server.answers)
    assert {outcome.connection for outcome in visits.outcomes} == {"a new connection", "a kept connection"}
    assert f"{len(visits.outcomes)} requests in" in visits.report()
    assert " 0 failed, 0 repeated, 0 on a new connection" in visits.report()


@pytest.mark.parametrize(
    ("words", "answer", "problem"),
    [
        (
            "GET /",
            (500, "", "Error establishing a database connection"),
            "status 500, expected 200: Error establishing",
        ),
        ("GET /", (200, "", "<html>Other</html>"), "does not contain 'My blog'"),
        ("POST /wp-login.php", (200, "", FORM), "status 200, expected 302"),
        ("POST /wp-login.php", (302, "", ""), "does not contain 'wordpress_logged_in'"),
    ],
)
def test_a_wrong_answer_is_a_failed_request(server, words, answer, problem):
    server.answers[words] = answer
    visits = visit(server)
    assert {outcome.request for outcome in visits.failed} == {words}
    assert problem in visits.failed[0].problem
    assert visits.report().count("failed: ") == len(visits.failed)


def test_no_answer_on_a_new_connection_is_a_failed_request(server):
    server.misbehave = lambda words, earlier: "close" if words == "GET /" and not earlier else ""
    visits = visit(server)
    assert "GET /" in {outcome.request for outcome in visits.failed}
    assert all("Disconnected" in outcome.problem or "Reset" in outcome.problem for outcome in visits.failed)


def test_a_get_on_a_kept_connection_that_ends_is_repeated_and_counted(server):
    server.misbehave = lambda words, earlier: "close" if words == "GET /" and earlier else ""
    visits = visit(server)
    assert visits.failed == []
    assert visits.repeated
    assert all(outcome.connection == "a kept connection" for outcome in visits.repeated)
    assert visits.report().count("repeated: ") == len(visits.repeated)


def test_a_post_is_never_repeated(server):
    server.misbehave = lambda words, earlier: "close" if words.startswith("POST") and earlier else ""
    visits = visit(server)
    assert {(outcome.request, outcome.connection) for outcome in visits.failed} == {
        ("POST /wp-login.php", "a kept connection")
    }


def test_a_kept_connection_that_has_ended_is_replaced_and_counted(server):
    server.misbehave = lambda words, _earlier: "end" if words == "GET /" else ""
    visits = visit(server, rate=50)
    assert visits.failed == []
    assert visits.reconnected


def test_a_site_that_does_not_listen_fails_every_request(server):
    server.close()
    visits = visit(server)
    assert len(visits.failed) == len(visits.outcomes)
    assert "ConnectionRefusedError" in visits.failed[0].problem
