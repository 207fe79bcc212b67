# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Access of tests to containers: commands of testinfra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from .container_operations import ContainerUnderTest


class ContainerBackend(BaseBackend):
    """Runs testinfra's commands with the image's own shell."""

    NAME = "tierwright"

    def __init__(self, name: str, container: Callable[[], ContainerUnderTest], **settings: Any) -> None:
        """Take the access to a container. Nothing is started yet.

        Args:
            name: The name of the container in reports.
            container: Returns the container for the next command.
            settings: Further arguments of testinfra.
        """
        super().__init__(name, **settings)
        self._container = container

    def run(self, command_line: str, *args: str, **_settings: Any) -> CommandResult:
        """Run a command line. Each ``%s`` in it is replaced by one of ``args``, quoted.

        Raises:
            ContainerGoneError: The container has ended.
            EngineError: The engine rejected a request.
        """
        line = self.get_command(command_line, *args)
        output = self._container().run(["/bin/sh", "-c", line])
        return self.result(output.code, line.encode(), output.stdout, output.stderr)

    def get_encoding(self) -> str:
        """Return UTF-8 for every image: testinfra would ask Python for the encoding, which an image need not have."""
        return "utf-8"


def host(name: str, container: Callable[[], ContainerUnderTest]) -> Host:
    """Return a testinfra ``Host``. The arguments are those of :class:`ContainerBackend`."""
    backend = ContainerBackend(name, container)
    testinfra_host = Host(backend)
    backend.set_host(testinfra_host)
    return testinfra_host
