"""Visitors of a WordPress site: they request the front page and log in at a steady rate, and keep every outcome.

    python tests/visitors.py http://127.0.0.1:8080 --user admin --password-file FILE --seconds 250

Half of the visits open a connection for each request. The other half use kept connections, like a browser. A client
must expect that a kept connection ends at any time (RFC 9112, section 9.3.1). So:

- A kept connection that is known to have ended is not used. The visitor opens another one, and counts that.
- If a kept connection ends before any byte of the answer, a GET is repeated once on a new connection, and that is
  counted, too. RFC 9110, section 9.2.2, allows this for idempotent requests. A POST is never repeated.

Everything else that is not the expected answer is a failed request.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import queue
import select
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import urlencode, urlsplit

#: WordPress checks that a browser sends this cookie back.
_COOKIE = {"Cookie": "wordpress_test_cookie=WP%20Cookie%20check"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_LOGIN = "/wp-login.php"

#: A visit that is late by so many seconds is left out, so that a site that was slow gets no burst of visits.
_MOST_LATE = 1.0

_NEW, _KEPT = "a new connection", "a kept connection"


@dataclass(frozen=True)
class Request:
    """One request, and what its answer must be."""

    method: str
    path: str
    status: int
    #: Part of the body, or with a redirect, of a cookie that is set.
    contains: str
    fields: dict[str, str] = field(default_factory=dict)

    def problem(self, status: int, cookies: str, body: str) -> str:
        """What is wrong with an answer; empty if nothing is."""
        if status != self.status:
            return f"status {status}, expected {self.status}: {_first_words(body)}"
        if self.contains not in body + cookies:
            return f"the answer does not contain {self.contains!r}: {_first_words(body)}"
        return ""


@dataclass(frozen=True)
class Outcome:
    """What became of one request."""

    #: Seconds since 1970.
    begun: float
    seconds: float
    request: str
    connection: str
    #: Why it failed; empty if it did not.
    problem: str = ""
    #: Why it was repeated; empty if it was not.
    repeated: str = ""
    #: Whether the kept connection had ended before the request.
    reconnected: bool = False

    def __str__(self) -> str:
        moment = datetime.fromtimestamp(self.begun, UTC).strftime("%H:%M:%S.%f")[:-3]
        return f"{moment} {self.request} on {self.connection}, after {self.seconds:.2f} s: {self.problem or 'well'}"


@dataclass(frozen=True)
class Visits:
    """All outcomes, in the order in which the requests ended."""

    outcomes: list[Outcome]
    #: Seconds by which the latest request began later than planned.
    latest: float

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.problem]

    @property
    def repeated(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.repeated]

    @property
    def reconnected(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.reconnected]

    def report(self) -> str:
        """The counts, and a line for each request that failed or was repeated."""
        ordered = sorted(outcome.seconds for outcome in self.outcomes) or [0.0]
        begun = [outcome.begun for outcome in self.outcomes] or [0.0]
        seconds = max(begun) - min(begun)
        rate = len(self.outcomes) / max(seconds, 1)
        counts = (
            f"{len(self.outcomes)} requests in {seconds:.0f} s ({rate:.1f} a second), {len(self.failed)} failed, "
            f"{len(self.repeated)} repeated, {len(self.reconnected)} on a new connection because the kept one had ended"
        )
        times = (
            f"half of them within {ordered[len(ordered) // 2]:.2f} s, 99 of 100 within "
            f"{ordered[len(ordered) * 99 // 100]:.2f} s, all within {ordered[-1]:.2f} s; each began at most "
            f"{self.latest:.2f} s late"
        )
        repeats = [f"repeated: {outcome} ({outcome.repeated})" for outcome in self.repeated]
        return "\n".join([counts, times, *(f"failed: {outcome}" for outcome in self.failed), *repeats])


class _StaleError(Exception):
    """A kept connection ended before any byte of the answer."""


class _Browser:
    """A client with one connection at a time, which is kept if the server keeps it."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self._address, self._timeout = (host, port), timeout
        self._connection: http.client.HTTPConnection | None = None

    def visit(self, request: Request, *, keep: bool) -> Outcome:
        begun, start = time.time(), time.monotonic()
        reconnected, repeated, problem = self._drop_ended(), "", ""
        try:
            try:
                problem = self._send(request, keep=keep)
            except _StaleError as error:
                if request.method != "GET":
                    raise
                repeated = str(error)
                problem = self._send(request, keep=keep)
        except (OSError, http.client.HTTPException, _StaleError) as error:
            problem = f"{type(error).__name__}: {error}"
        if problem or not keep:
            self.close()
        return Outcome(
            begun,
            time.monotonic() - start,
            f"{request.method} {request.path}",
            _KEPT if keep else _NEW,
            problem,
            repeated,
            reconnected,
        )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _drop_ended(self) -> bool:
        """Close a kept connection that the server has ended."""
        sock = self._connection.sock if self._connection else None
        if self._connection is None or (sock is not None and not select.select([sock], [], [], 0)[0]):
            return False
        self.close()
        return True

    def _send(self, request: Request, *, keep: bool) -> str:
        is_kept = self._connection is not None
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self._address, timeout=self._timeout)
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = urlencode(request.fields).encode() if request.method == "POST" else None
        headers = {**_COOKIE, **(_FORM if body else {}), **({} if keep else {"Connection": "close"})}
        try:
            self._connection.request(request.method, request.path, body, headers)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError) as error:
            self.close()
            if is_kept:
                raise _StaleError(f"the kept connection ended: {error}") from error
            raise
        content = answer.read().decode(errors="replace")
        if answer.will_close:
            self.close()
        return request.problem(answer.status, " ".join(answer.headers.get_all("Set-Cookie") or ()), content)


class Visitors:
    """Visits a site until it is stopped.

    The rate does not depend on how fast the site answers, as long as not too many requests wait for an answer.
    """

    def __init__(
        self,
        address: str,
        *,
        user: str,
        password: str,
        title: str = "",
        rate: float = 20,
        timeout: float = 30,
        at_once: int = 20,
    ) -> None:
        """Prepare.

        Args:
            address: Address of the site: ``http://127.0.0.1:8080``.
            user: Who logs in.
            password: The password.
            title: What the front page must contain.
            rate: Requests in a second, of all visitors together.
            timeout: Seconds that an answer may take.
            at_once: Requests that wait for an answer at one time, at most. A site that is too slow for the rate gets
                fewer requests, and the report says so.
        """
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._rate, self._timeout = rate, timeout
        front = Request("GET", "/", http.HTTPStatus.OK, title or "</html>")
        fields = {"log": user, "pwd": password, "testcookie": "1"}
        login = (
            Request("GET", _LOGIN, http.HTTPStatus.OK, 'id="user_pass"'),
            Request("POST", _LOGIN, http.HTTPStatus.FOUND, "wordpress_logged_in", fields),
        )
        visits = (
            ((front,), False),
            ((front,), True),
            (login, False),
            ((front,), True),
            ((front,), False),
            (login, True),
        )
        self._plan = itertools.cycle(visits)
        self._idle: queue.LifoQueue[_Browser] = queue.LifoQueue()
        self._lock, self._end = threading.Lock(), threading.Event()
        self._outcomes: list[Outcome] = []
        self._latest = 0.0
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(at_once)]
        #: When the next visit begins.
        self._due = 0.0

    def start(self) -> Visitors:
        self._due = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> Visits:
        """Begin no more visits, wait for the answers, and return all outcomes."""
        self._end.set()
        for thread in self._threads:
            thread.join()
        while not self._idle.empty():
            self._idle.get().close()
        return self.so_far()

    def so_far(self) -> Visits:
        """The outcomes until now."""
        with self._lock:
            return Visits(list(self._outcomes), self._latest)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _work(self) -> None:
        while not self._end.is_set():
            with self._lock:
                requests, keep = next(self._plan)
                due = self._due = max(self._due, time.monotonic() - _MOST_LATE)
                self._due += len(requests) / self._rate
            if self._end.wait(max(0.0, due - time.monotonic())):
                return
            late = time.monotonic() - due
            browser = self._browser() if keep else _Browser(self._host, self._port, self._timeout)
            for request in requests:
                outcome = browser.visit(request, keep=keep)
                with self._lock:
                    self._outcomes.append(outcome)
                    self._latest = max(self._latest, late)
                if outcome.problem:
                    break
            if keep:
                self._idle.put(browser)

    def _browser(self) -> _Browser:
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        return _Browser(self._host, self._port, self._timeout)


def _first_words(body: str) -> str:
    return " ".join(body.split())[:200]


def main() -> int:
    parser = argparse.ArgumentParser(description="Visit a WordPress site, and print every request that failed.")
    parser.add_argument("address")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--title", default="")
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    visitors = Visitors(
        options.address,
        user=options.user,
        password=options.password_file.read_text().rstrip("\n"),
        title=options.title,
        rate=options.rate,
    ).start()
    with contextlib.suppress(KeyboardInterrupt):
        time.sleep(options.seconds)
    visits = visitors.stop()
    print(visits.report())  # noqa: T201 - its purpose
    return 1 if visits.failed else 0


if __name__ == "__main__":
    sys.exit(main())
