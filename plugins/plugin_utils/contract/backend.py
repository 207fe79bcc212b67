# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How testinfra reaches a container: through the engine's own interface, wherever the engine is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from ..engine.engine import Engine
from ..engine.stream import Output


class EngineBackend(BaseBackend):
    """Runs testinfra's commands with the image's own shell."""

    NAME = "tierwright"

    def __init__(
        self, engine: Engine, name: str, container: Callable[[], str], user: str = "", **settings: Any
    ) -> None:
        """Remember how to get at the container; nothing is started yet.

        Args:
            engine: The engine.
            name: What the container is called in reports.
            container: Gives the ID of the container that the next command runs in.
            user: ``name``, ``uid`` or ``uid:gid``; empty for the container's own.
            settings: What testinfra adds.
        """
        super().__init__(name, **settings)
        self._engine, self._container, self._user = engine, container, user

    def run(self, command_line: str, *args: str, **_settings: Any) -> CommandResult:
        """Run a command line; its ``%s`` become ``args``, quoted.

        Raises:
            ContainerGoneError: The container has ended.
            EngineError: The engine refused.
        """
        line, output = self.get_command(command_line, *args), Output()
        argv = ["/bin/sh", "-c", line]
        code = self._engine.exec.run(self._container(), argv, take=output.take, user=self._user)
        return self.result(code, line.encode(), bytes(output.stdout), bytes(output.stderr))

    def get_encoding(self) -> str:
        """Every image is taken to speak UTF-8: what has no Python cannot be asked."""
        return "utf-8"


def host(engine: Engine, name: str, container: Callable[[], str], user: str = "") -> Host:
    """A testinfra ``Host``; the arguments are those of :class:`EngineBackend`."""
    backend = EngineBackend(engine, name, container, user)
    made = Host(backend)
    backend.set_host(made)
    return made
