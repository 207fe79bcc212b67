# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The interface of a test to a container that it has started."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Callable, Mapping
from email.message import Message
from typing import NamedTuple
from urllib.parse import urlencode

from testinfra.host import Host

from ..engine.engine import Engine
from ..engine.inspection import Image
from ..engine.streams import Output
from . import container_access
from .container_access import Relay

#: Default time limit of the methods that wait, in seconds.
DEFAULT_TIMEOUT = 30

_POLL_SECONDS = 0.2
_ANSWER_SECONDS = 10


class HttpAnswer(NamedTuple):
    """The answer of a server."""

    status: int
    #: The names of header fields are case-insensitive.
    headers: Message
    body: str


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

    def __init__(
        self, engine: Engine, container: str, *, tier: str, alias: str, image: Image, network: str, relay: Relay | None
    ) -> None:
        """Take a container that runs, or has already ended.

        Args:
            engine: The engine.
            container: Its ID.
            tier: The tier that its image belongs to.
            alias: Its name on the network.
            image: Its image, with the full configuration.
            network: Name of the session's private network.
            relay: Sends requests to this network; ``None`` if this machine can reach it.
        """
        self._engine, self._image, self._network, self._relay = engine, image, network, relay
        #: The container's ID.
        self.container = container
        #: The tier that its image belongs to.
        self.tier = tier
        #: Its name on the private network.
        self.alias = alias
        #: testinfra's ``Host``: commands run in the container, as the container's own user.
        self.host: Host = container_access.host(engine, alias, lambda: container)

    @property
    def running(self) -> bool:
        """Whether the container runs."""
        return self._engine.services.state(self.container).running

    @property
    def exit_code(self) -> int | None:
        """Its exit status; ``None`` while it runs."""
        return self._engine.services.state(self.container).exit_code

    @property
    def health(self) -> str | None:
        """The engine's health status: ``starting``, ``healthy`` or ``unhealthy``; ``None`` without a health check."""
        return self._engine.services.state(self.container).health

    @property
    def address(self) -> str:
        """Its IP address on the private network; empty after it has ended."""
        return self._engine.services.state(self.container).addresses.get(self._network, "")

    def logs(self, lines: int | None = None) -> str:
        """Return its output on both streams; only the last ``lines`` lines if a number is given."""
        return self._engine.services.logs(self.container, lines)

    def processes(self) -> list[ContainerProcess]:
        """Return its processes. The image needs no program for that."""
        return [ContainerProcess(uid, line) for uid, line in self._engine.services.processes(self.container)]

    def wait(self, until: Callable[[], object], timeout: float = DEFAULT_TIMEOUT) -> None:
        """Wait until ``until()`` is true.

        Args:
            until: Called repeatedly. An ``OSError``, ``AssertionError`` or ``HTTPException`` means "not yet".
            timeout: Time limit in seconds.

        Raises:
            AssertionError: It is not true in time, or the container has ended.
        """
        __tracebackhide__ = True
        end, last_error = time.monotonic() + timeout, ""
        while True:
            try:
                if until():
                    return
            except (OSError, AssertionError, http.client.HTTPException) as error:
                last_error = f"; last error: {error}"
            state = self._engine.services.state(self.container)
            if not state.running:
                raise AssertionError(
                    f"{self.alias}: the container ended with exit status {state.exit_code} during the wait"
                )
            if time.monotonic() > end:
                raise AssertionError(f"{self.alias}: the condition was not true after {timeout:g} s{last_error}")
            time.sleep(_POLL_SECONDS)

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
        end = time.monotonic() + timeout
        while (code := self.exit_code) is None:
            if time.monotonic() > end:
                raise AssertionError(f"{self.alias}: still runs after {timeout:g} s")
            time.sleep(_POLL_SECONDS)
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
        argv = _health_check(self._image)
        if not argv:
            raise AssertionError(f"{self.alias}: its image has no health check")
        end = time.monotonic() + timeout

        def healthy() -> bool:
            code, output = self._run(argv, max(end - time.monotonic(), _POLL_SECONDS))
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
        server = (self.address, port or self._port())
        if self._relay is None:
            connection = http.client.HTTPConnection(*server, timeout=timeout)
        else:
            connection = self._relay.connection(*server, timeout)
            fields["Connection"] = "close"
        if data is not None:
            fields.setdefault("Content-Type", "application/x-www-form-urlencoded")
        try:
            body = None if data is None else urlencode(data)
            connection.request("GET" if data is None else "POST", path, body, fields)
            answer = connection.getresponse()
            return HttpAnswer(answer.status, answer.headers, answer.read().decode(errors="replace"))
        finally:
            connection.close()

    def stop(self, timeout: int = 10) -> StopResult:
        """Stop the container with the image's stop signal, and kill it after ``timeout`` seconds.

        Returns:
            The duration in seconds, and the exit status.
        """
        began = time.monotonic()
        self._engine.services.stop(self.container, timeout)
        return StopResult(time.monotonic() - began, self.exit_code)

    def _port(self) -> int:
        matches = [re.fullmatch(r"(\d+)(?:/tcp)?", port) for port in self._image.config.get("ExposedPorts") or ()]
        ports = sorted(int(match[1]) for match in matches if match)
        if not ports:
            raise AssertionError(f"{self.alias}: its image exposes no TCP port; add the argument port=…")
        return ports[0]

    def _run(self, argv: list[str], timeout: float) -> tuple[int | str, str]:
        """Run a command that may hang.

        Returns:
            Its exit status, or "no answer" after ``timeout`` seconds, and the end of its output.
        """
        output: Output = Output()
        codes: list[int] = []

        def run() -> None:
            codes.append(self._engine.exec.run(self.container, argv, take=output.take))

        thread = threading.Thread(target=_ignore_errors, args=(run,), daemon=True)  # ends with the container
        thread.start()
        thread.join(timeout)
        text = (bytes(output.stdout) + bytes(output.stderr)).decode(errors="replace").strip()
        return (codes[0] if codes else "no answer"), text[-500:]


def _ignore_errors(function: Callable[[], None]) -> None:
    """Call a function that runs a command in a container, which may be removed meanwhile."""
    try:
        function()
    except Exception:  # noqa: BLE001 - the caller reports the missing answer, and nothing waits for this thread later
        return


def _health_check(image: Image) -> list[str]:
    """Return the command of an image's health check; empty if it has none."""
    kind, *words = (image.config.get("Healthcheck") or {}).get("Test") or ["NONE"]
    if kind == "CMD-SHELL":
        shell = image.config.get("Shell") or ["/bin/sh", "-c"]
        return [*shell, *words]
    return list(words) if kind == "CMD" else []
