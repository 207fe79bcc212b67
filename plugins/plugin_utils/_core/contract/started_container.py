# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The interface of a test to a container that it has started."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from testinfra.host import Host

from . import container_access
from .container_operations import ContainerUnderTest, HttpAnswer, HttpRequest

#: Default time limit of the methods that wait, in seconds.
DEFAULT_TIMEOUT = 30

#: The first pause of a wait, by which factor pauses grow, and the longest pause, in seconds.
_FIRST_PAUSE, _GROWTH, _LONGEST_PAUSE = 0.015, 1.4, 0.25
#: Shortest time that a health check gets, in seconds.
_SHORTEST_CHECK = 0.2
_ANSWER_SECONDS = 10


class StopResult(NamedTuple):
    """The result of stopping a container: how long it took, and its exit status."""

    seconds: float
    exit_code: int | None


class ContainerProcess(NamedTuple):
    """A process in a container."""

    uid: int
    command: str


class StartedContainer:
    """A container of an image of the chain, started as users start it."""

    def __init__(self, container: ContainerUnderTest) -> None:
        """Take a container that runs, or has already ended."""
        self._container = container
        #: The container's ID.
        self.container = container.id
        #: The tier that its image belongs to.
        self.tier = container.tier
        #: Its name on the private network.
        self.alias = container.alias
        #: testinfra's ``Host``: commands run in the container, as the container's own user.
        self.host: Host = container_access.host(container.alias, lambda: container)

    @property
    def running(self) -> bool:
        """Whether the container runs."""
        return self._container.state().running

    @property
    def exit_code(self) -> int | None:
        """Its exit status; ``None`` while it runs."""
        return self._container.state().exit_code

    @property
    def health(self) -> str | None:
        """The engine's health status: ``starting``, ``healthy`` or ``unhealthy``; ``None`` without a health check."""
        return self._container.state().health

    @property
    def address(self) -> str:
        """Its IP address on the private network; empty after it has ended."""
        return self._container.state().address

    def logs(self, lines: int | None = None) -> str:
        """Return its output on both streams; only the last ``lines`` lines if a number is given."""
        return self._container.logs(lines)

    def processes(self) -> list[ContainerProcess]:
        """Return its processes. The image needs no program for that."""
        return [ContainerProcess(uid, line) for uid, line in self._container.processes()]

    def wait(self, until: Callable[[], object], timeout: float = DEFAULT_TIMEOUT) -> None:
        """Wait until ``until()`` is true.

        Args:
            until: Called repeatedly. An ``OSError``, ``AssertionError`` or ``HTTPException`` means "not yet".
            timeout: Time limit in seconds.

        Raises:
            AssertionError: It is not true in time, or the container has ended.
        """
        __tracebackhide__ = True
        end, last_error, pauses = time.monotonic() + timeout, "", _pauses()
        while True:
            try:
                if until():
                    return
            except (OSError, AssertionError, http.client.HTTPException) as error:
                last_error = f"; last error: {error}"
            state = self._container.state()
            if not state.running:
                raise AssertionError(
                    f"{self.alias}: the container ended with exit status {state.exit_code} during the wait"
                )
            if time.monotonic() > end:
                raise AssertionError(f"{self.alias}: the condition was not true after {timeout:g} s{last_error}")
            time.sleep(next(pauses))

    def wait_ended(self, timeout: float = DEFAULT_TIMEOUT) -> int:
        """Wait until the container has ended by itself.

        Args:
            timeout: Time limit in seconds.

        Returns:
            Its exit status.

        Raises:
            AssertionError: It still runs after this time.
        """
        __tracebackhide__ = True
        end, pauses = time.monotonic() + timeout, _pauses()
        while (code := self.exit_code) is None:
            if time.monotonic() > end:
                raise AssertionError(f"{self.alias}: still runs after {timeout:g} s")
            time.sleep(next(pauses))
        return code

    def wait_healthy(self, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Wait until the image's health check succeeds.

        This method runs the check itself, more often than the engine, whose interval is 30 s by default.

        Args:
            timeout: Time limit in seconds.

        Raises:
            AssertionError: The check does not succeed in time, the container has ended, or the image has no health
                check.
        """
        __tracebackhide__ = True
        argv = _health_check(self._container.config)
        if not argv:
            raise AssertionError(f"{self.alias}: its image has no health check")
        end = time.monotonic() + timeout

        def healthy() -> bool:
            code, output = self._run(argv, max(end - time.monotonic(), _SHORTEST_CHECK))
            if code != 0:
                raise AssertionError(f"the health check ended with {code}: {output}")
            return True

        self.wait(healthy, timeout)

    def http(
        self,
        path: str = "/",
        *,
        port: int | None = None,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        timeout: float = _ANSWER_SECONDS,
    ) -> HttpAnswer:
        """Send a request to its web server. Redirections are not followed.

        Args:
            path: Path and query.
            port: By default the lowest TCP port that the image exposes.
            headers: Header fields to send.
            data: Fields of a form to send with ``POST``; ``None`` for ``GET``.
            timeout: Time limit until the answer begins, in seconds.

        Raises:
            OSError: No server listens on the port, or it does not answer in time.
            AssertionError: No port is given, and the image exposes none.
        """
        fields = dict(headers or {})
        if data is not None:
            fields.setdefault("Content-Type", "application/x-www-form-urlencoded")
        method, body = ("GET", None) if data is None else ("POST", urlencode(data))
        return self._container.send(HttpRequest(method, path, port or self._port(), fields, body, timeout))

    def stop(self, timeout: int = 10) -> StopResult:
        """Stop the container with the image's stop signal, and kill it after ``timeout`` seconds.

        Returns:
            The duration in seconds, and the exit status.
        """
        began = time.monotonic()
        self._container.stop(timeout)
        return StopResult(time.monotonic() - began, self.exit_code)

    def _port(self) -> int:
        matches = [re.fullmatch(r"(\d+)(?:/tcp)?", port) for port in self._container.config.get("ExposedPorts") or ()]
        ports = sorted(int(match[1]) for match in matches if match)
        if not ports:
            raise AssertionError(f"{self.alias}: its image exposes no TCP port; add the argument port=…")
        return ports[0]

    def _run(self, argv: list[str], timeout: float) -> tuple[int | str, str]:
        """Run a command that may hang.

        Returns:
            Its exit status, or "no answer" after ``timeout`` seconds, and the end of its output.
        """
        outputs: list[tuple[int, bytes]] = []

        def run() -> None:
            code, stdout, stderr = self._container.run(argv)
            outputs.append((code, stdout + stderr))

        thread = threading.Thread(target=_ignore_errors, args=(run,), daemon=True)  # ends with the container
        thread.start()
        thread.join(timeout)
        if not outputs:
            return "no answer", ""
        code, output = outputs[0]
        return code, output.decode(errors="replace").strip()[-500:]


def _pauses() -> Iterator[float]:
    """Return the pauses of a wait without end. They are short at first, because most services start quickly."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)


def _ignore_errors(function: Callable[[], None]) -> None:
    """Call a function that runs a command in a container, which may be removed meanwhile."""
    try:
        function()
    except Exception:  # noqa: BLE001 - the caller reports the missing answer, and nothing waits for this thread later
        return


def _health_check(config: Mapping[str, Any]) -> list[str]:
    """Return the command of an image's health check; empty if it has none."""
    kind, *words = (config.get("Healthcheck") or {}).get("Test") or ["NONE"]
    if kind == "CMD-SHELL":
        shell = config.get("Shell") or ["/bin/sh", "-c"]
        return [*shell, *words]
    return list(words) if kind == "CMD" else []
