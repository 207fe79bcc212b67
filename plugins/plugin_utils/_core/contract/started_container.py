# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A container that a test started, as the test sees it."""

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

#: Seconds that waiting takes at most, unless the test says otherwise.
PATIENCE = 30

_POLL_SECONDS = 0.2
_ANSWER_SECONDS = 10


class HttpAnswer(NamedTuple):
    """What a server answered."""

    status: int
    #: Names are looked up whatever their case.
    headers: Message
    body: str


class Stopped(NamedTuple):
    """How a container ended that was asked to."""

    seconds: float
    exit_code: int | None


class ContainerProcess(NamedTuple):
    """What runs in a container."""

    uid: int
    command: str


class StartedContainer:
    """A container of an image of the chain, started as its users start it."""

    def __init__(
        self, engine: Engine, container: str, *, tier: str, alias: str, image: Image, network: str, relay: Relay | None
    ) -> None:
        """Take a container that runs, or has ended already.

        Args:
            engine: The engine.
            container: Its ID.
            tier: The tier that its image is of.
            alias: Its name on the network.
            image: Its image, with a full configuration.
            network: Name of the network that it is asked on.
            relay: What leads there; ``None`` where this machine is on it.
        """
        self._engine, self._image, self._network, self._relay = engine, image, network, relay
        #: The container's ID.
        self.container = container
        #: The tier that its image is of.
        self.tier = tier
        #: Its name on the private network.
        self.alias = alias
        #: testinfra's ``Host``: commands run in the container, as the container's own user.
        self.host: Host = container_access.host(engine, alias, lambda: container)

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._engine.services.state(self.container).running

    @property
    def exit_code(self) -> int | None:
        """Its exit status; ``None`` while it runs."""
        return self._engine.services.state(self.container).exit_code

    @property
    def health(self) -> str | None:
        """What the engine's health check says: ``starting``, ``healthy``, ``unhealthy``; ``None`` without one."""
        return self._engine.services.state(self.container).health

    @property
    def address(self) -> str:
        """Its IP address on the private network; empty once it has ended."""
        return self._engine.services.state(self.container).addresses.get(self._network, "")

    def logs(self, lines: int | None = None) -> str:
        """What it wrote on both streams; the last ``lines`` only, if they are given."""
        return self._engine.services.logs(self.container, lines)

    def processes(self) -> list[ContainerProcess]:
        """What runs in it, whatever programs the image has."""
        return [ContainerProcess(uid, line) for uid, line in self._engine.services.processes(self.container)]

    def wait(self, until: Callable[[], object], timeout: float = PATIENCE) -> None:
        """Wait until ``until()`` is true; an ``OSError`` or ``AssertionError`` of it counts as "not yet".

        Args:
            until: Asked again and again.
            timeout: Seconds.

        Raises:
            AssertionError: It is not true in time, or the container has ended.
        """
        __tracebackhide__ = True
        end, said = time.monotonic() + timeout, ""
        while True:
            try:
                if until():
                    return
            except (OSError, AssertionError, http.client.HTTPException) as error:
                said = f"; at last it said: {error}"
            state = self._engine.services.state(self.container)
            if not state.running:
                raise AssertionError(f"{self.alias}: ended with exit status {state.exit_code} while it was waited for")
            if time.monotonic() > end:
                raise AssertionError(f"{self.alias}: waited {timeout:g} s in vain{said}")
            time.sleep(_POLL_SECONDS)

    def wait_ended(self, timeout: float = PATIENCE) -> int:
        """Wait until it has ended by itself.

        Args:
            timeout: Seconds.

        Returns:
            Its exit status.

        Raises:
            AssertionError: It still runs then.
        """
        __tracebackhide__ = True
        end = time.monotonic() + timeout
        while (code := self.exit_code) is None:
            if time.monotonic() > end:
                raise AssertionError(f"{self.alias}: still runs after {timeout:g} s")
            time.sleep(_POLL_SECONDS)
        return code

    def wait_healthy(self, timeout: float = PATIENCE) -> None:
        """Wait until the image's own health check succeeds.

        The check is run here, as the engine does but more often: between two of the engine's may be half a minute.

        Args:
            timeout: Seconds.

        Raises:
            AssertionError: It does not in time, the container has ended, or the image has no health check.
        """
        __tracebackhide__ = True
        argv = _check(self._image)
        if not argv:
            raise AssertionError(f"{self.alias}: its image has no health check")
        end = time.monotonic() + timeout

        def healthy() -> bool:
            code, said = self._run(argv, max(end - time.monotonic(), _POLL_SECONDS))
            if code != 0:
                raise AssertionError(f"the health check ended with {code}: {said}")
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
        """Ask its web server; a redirection is an answer like any other.

        Args:
            path: Path and query.
            port: By default the lowest TCP port that the image exposes.
            headers: Header fields to send.
            data: Fields of a form, to be posted; ``None`` gets the page.
            timeout: Seconds until the answer begins.

        Raises:
            OSError: Nothing listens there, or it does not answer in time.
        """
        fields = dict(headers or {})
        to = (self.address, port or self._port())
        if self._relay is None:
            connection = http.client.HTTPConnection(*to, timeout=timeout)
        else:
            connection = self._relay.connection(*to, timeout)
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

    def stop(self, timeout: int = 10) -> Stopped:
        """Ask it to end, and kill it after ``timeout`` seconds.

        Returns:
            How long it took and how it ended.
        """
        began = time.monotonic()
        self._engine.services.stop(self.container, timeout)
        return Stopped(time.monotonic() - began, self.exit_code)

    def _port(self) -> int:
        exposed = [re.fullmatch(r"(\d+)(?:/tcp)?", each) for each in self._image.config.get("ExposedPorts") or ()]
        ports = sorted(int(found[1]) for found in exposed if found)
        if not ports:
            raise AssertionError(f"{self.alias}: its image exposes no TCP port; say port=…")
        return ports[0]

    def _run(self, argv: list[str], timeout: float) -> tuple[int | str, str]:
        """Run a command that may hang.

        Returns:
            Its exit status, or "no answer", and the end of what it said.
        """
        output: Output = Output()
        codes: list[int] = []

        def run() -> None:
            codes.append(self._engine.exec.run(self.container, argv, take=output.take))

        thread = threading.Thread(target=_quietly, args=(run,), daemon=True)  # ends with the container
        thread.start()
        thread.join(timeout)
        said = (bytes(output.stdout) + bytes(output.stderr)).decode(errors="replace").strip()
        return (codes[0] if codes else "no answer"), said[-500:]


def _quietly(do: Callable[[], None]) -> None:
    """A command's container may be removed while it runs: whoever asked for it has been told by then."""
    try:
        do()
    except Exception:  # noqa: BLE001 - of whatever kind; there is nobody left to tell
        return


def _check(image: Image) -> list[str]:
    """The command of an image's health check; empty where it has none."""
    kind, *words = (image.config.get("Healthcheck") or {}).get("Test") or ["NONE"]
    if kind == "CMD-SHELL":
        shell = image.config.get("Shell") or ["/bin/sh", "-c"]
        return [*shell, *words]
    return list(words) if kind == "CMD" else []
