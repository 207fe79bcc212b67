# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A container under test that is reached through the engine."""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from typing import Any

from ..engine.engine import Engine
from ..engine.streams import Output
from .container_operations import CommandOutput, ContainerState, HttpAnswer, HttpRequest
from .relay import Relay
from .shared_shell import SharedShell

#: Limit of the body of an answer, in bytes.
_LARGEST_BODY = 64 << 20


class EngineContainer:
    """One container; see :class:`.container_operations.ContainerUnderTest`."""

    def __init__(
        self,
        engine: Engine,
        container: str,
        *,
        tier: str,
        alias: str,
        config: Mapping[str, Any],
        network: str = "",
        relay: Relay | None = None,
        user: str = "",
    ) -> None:
        """Take a container that runs, or has already ended.

        Args:
            engine: The engine.
            container: Its ID.
            tier: The tier that its image belongs to.
            alias: Its name on the network.
            config: Runtime configuration of its image.
            network: Name of the session's private network.
            relay: Sends requests to this network; ``None`` if this machine can reach it.
            user: The user of commands: ``name``, ``uid`` or ``uid:gid``; empty for the container's own user.
        """
        self._engine, self._network, self._relay, self._user = engine, network, relay, user
        self._shell = SharedShell(engine, container, user)
        self.id, self.tier, self.alias, self.config = container, tier, alias, config

    def run(self, argv: Sequence[str]) -> CommandOutput:
        """Run a command in the container: in its shell if that is possible, because this is much faster."""
        if (answer := self._shell.run(argv)) is not None:
            return answer
        output = Output()
        code = self._engine.exec.run(self.id, list(argv), take=output.take, user=self._user)
        return CommandOutput(code, bytes(output.stdout), bytes(output.stderr))

    def state(self) -> ContainerState:
        """Return its state."""
        state = self._engine.services.state(self.id)
        return ContainerState(state.running, state.exit_code, state.health, state.addresses.get(self._network, ""))

    def logs(self, lines: int | None = None) -> str:
        """Return its output on both streams, or only the last lines."""
        return self._engine.services.logs(self.id, lines)

    def processes(self) -> list[tuple[int, str]]:
        """Return user ID and command line of its processes."""
        self._shell.end()
        return self._engine.services.processes(self.id)

    def stop(self, timeout: int) -> None:
        """Stop it, and kill it after ``timeout`` seconds."""
        self._shell.end()
        self._engine.services.stop(self.id, timeout)

    def end(self) -> None:
        """Kill all its processes, and wait for their end."""
        self._engine.containers.end(self.id)
        self.disconnect()

    def disconnect(self) -> None:
        """Close what is open, after the container has ended."""
        self._shell.end()

    def send(self, request: HttpRequest) -> HttpAnswer:
        """Send a request to a server in it.

        Raises:
            OSError: No server listens on the port, or it does not answer in time.
        """
        fields, address = dict(request.headers), self.state().address
        if not address:  # Python would connect to this machine
            raise ConnectionRefusedError(f"{self.alias}: it has no address on the private network; it may have ended")
        server = (address, request.port)
        if self._relay is None:
            connection = http.client.HTTPConnection(*server, timeout=request.timeout)
        else:
            connection = self._relay.connection(*server, request.timeout)
            fields["Connection"] = "close"
        try:
            connection.request(request.method, request.path, request.body, fields)
            answer = connection.getresponse()
            body = answer.read(_LARGEST_BODY + 1)
            if len(body) > _LARGEST_BODY:
                raise OSError(f"{self.alias}: the answer to {request.path} is larger than {_LARGEST_BODY} bytes")
            return HttpAnswer(answer.status, answer.headers, body.decode(errors="replace"))
        finally:
            connection.close()
