# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connection through which a tier's role reaches its build container."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tier
short_description: Run tasks in a tier's build container
description:
  - Runs the tasks of a tier's role in its build container, through the API of the container engine.
  - Neither an SSH server nor a C(docker) command is needed, on either side.
  - The engine is the one that E(DOCKER_HOST) names, else the one behind the local socket.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
options:
  container:
    description:
      - Name or ID of the running build container.
      - P(tierwright.chain.tier_start#module) returns it.
    type: str
    required: true
    vars:
      - name: tier_container
  remote_user:
    description:
      - The user that tasks run as in the container, by name or number.
      - By default the container's own, which is root in a build container.
    type: str
    default: ""
    vars:
      - name: ansible_user
    keyword:
      - name: remote_user
  pipelining:
    description:
      - Send modules through the command's standard input rather than as files.
    type: bool
    default: true
    vars:
      - name: ansible_pipelining
      - name: ansible_tier_pipelining
"""

import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.plugins.connection import ConnectionBase, ensure_connect
from ansible.utils.display import Display

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine import client as engine
from ansible_collections.tierwright.chain.plugins.plugin_utils.engine import exec as execution
from ansible_collections.tierwright.chain.plugins.plugin_utils.errors import EngineError

_CHUNK = 1 << 20
display = Display()


class Connection(ConnectionBase):
    """A connection to one build container; all work is done by ``plugin_utils.engine.exec``."""

    transport = "tierwright.chain.tier"
    has_pipelining = True
    has_tty = False

    _client: Any = None
    _connected: bool

    def _connect(self) -> Connection:
        if not self._connected:
            try:
                self._client = engine.connect()
            except EngineError as error:
                raise AnsibleConnectionFailure(str(error)) from None
            self._connected = True
        return self

    @ensure_connect
    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command line; see the base class."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        if sudoable and self.become and self.become.expect_prompt():
            raise AnsibleError(
                f"become_method {self.become.name} would ask for a password; in a build container root needs none, "
                "so drop become_password"
            )
        display.vvv(f"EXEC {cmd}", host=self._host)
        output = execution.Output()
        code = self._run(["/bin/sh", "-c", cmd], [in_data] if in_data else [], output.take)
        return code, bytes(output.stdout), bytes(output.stderr)

    @ensure_connect
    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file into the container, in pieces."""
        display.vvv(f"PUT {in_path} TO {out_path}", host=self._host)
        source = Path(in_path)
        if not source.is_file():
            raise AnsibleFileNotFound(f"file to copy into the build container does not exist: {in_path}")
        output = execution.Output()
        code = self._run(["/bin/sh", "-c", f"cat > {shlex.quote(out_path)}"], _pieces(source), output.take)
        self._check(code, output, f"writing {out_path}")

    @ensure_connect
    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file out of the container, in pieces."""
        display.vvv(f"FETCH {in_path} TO {out_path}", host=self._host)
        output = execution.Output()
        with Path(out_path).open("wb") as target:

            def take(stream: int, data: bytes) -> None:
                if stream == execution.STDOUT:
                    target.write(data)
                else:
                    output.take(stream, data)

            code = self._run(["cat", "--", in_path], (), take)
        self._check(code, output, f"reading {in_path}")

    def close(self) -> None:
        """Let go of the engine."""
        if self._client is not None:
            self._client.close()
        self._client = None
        self._connected = False

    def reset(self) -> None:
        """Start over; nothing is kept between commands."""
        self.close()
        self._connect()

    @property
    def _host(self) -> str:
        return str(self._play_context.remote_addr)

    def _run(self, argv: list[str], stdin: Iterable[bytes], take: Callable[[int, bytes], None]) -> int:
        user = self.get_option("remote_user") or ""
        try:
            return execution.run(self._client, self.get_option("container"), argv, stdin=stdin, take=take, user=user)
        except EngineError as error:
            raise AnsibleConnectionFailure(str(error)) from None

    def _check(self, code: int, output: execution.Output, doing: str) -> None:
        if code != 0:
            told = output.stderr.decode(errors="replace").strip()
            raise AnsibleError(f"{doing} in the build container failed with status {code}: {told}")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece
