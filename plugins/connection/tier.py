# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connection through which a tier's role reaches its build container."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tier
short_description: Run tasks in a tier's build container
description:
  - Runs the tasks of a tier's role in its build container. Neither an SSH server nor a C(docker) command is needed, on
    either side.
  - The first task starts an agent in the container through the API of the container engine. The agent holds an
    interpreter that has imported what modules share, and runs each module on a fork of it. It ends with the container
    or with C(ansible-playbook), whichever is first, and leaves nothing in the image.
  - Where the engine is on this machine, tasks reach the agent through a socket in a private folder; elsewhere through
    one stream of the engine's for all tasks.
  - A task fails if what it runs writes more than 64 MiB to its standard output and error.
  - What the agent cannot run on a fork gets an interpreter or a shell of its own, which C(-vvv) shows.
  - The engine is the one that E(DOCKER_HOST) names, else the one behind the local socket.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
options:
  container:
    description:
      - Name of the running build container, as P(tierwright.chain.tier_start#module) returns it.
      - An ID does as well, but then everything goes through one stream of the engine's.
    type: str
    required: true
    vars:
      - name: tier_container
  python:
    description:
      - The interpreter in the container that the agent runs on.
      - Modules that want another one get it, at the price of starting it for each.
    type: str
    default: auto
    vars:
      - name: ansible_python_interpreter
  remote_user:
    description:
      - The user that tasks run as in the container, by name or number.
    type: str
    default: root
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

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.plugins.connection import ConnectionBase, ensure_connect
from ansible.utils.display import Display

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import client, launch
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import client as agent
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.streams import STDOUT, Output
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    EngineError,
    TierwrightError,
    TooMuchOutputError,
)

_CHUNK = 1 << 20
display = Display()


class Connection(ConnectionBase):
    """A connection to one build container; all work is done by ``plugin_utils._core.agent``."""

    transport = "tierwright.chain.tier"
    has_pipelining = True
    has_tty = False

    _connected: bool

    def _connect(self) -> Connection:
        # The way to the agent is looked for by each command: it costs nothing where the agent runs.
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
        request = client.request(cmd, has_input=bool(in_data))
        display.vvv(f"EXEC {client.shown(request)}", host=self._host)
        if in_data and request["do"] != "module":
            self._note("a shell is started for this module: more than an interpreter is asked for")
        output = Output()
        code = self._run(request, [in_data] if in_data else [], output.take)
        return code, bytes(output.stdout), bytes(output.stderr)

    @ensure_connect
    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file into the container, in pieces."""
        display.vvv(f"PUT {in_path} TO {out_path}", host=self._host)
        source = Path(in_path)
        if not source.is_file():
            raise AnsibleFileNotFound(f"file to copy into the build container does not exist: {in_path}")
        told = Output()
        code = self._run({"do": "put", "path": out_path}, _pieces(source), told.take)
        self._check(code, told, f"writing {out_path}")

    @ensure_connect
    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file out of the container, in pieces."""
        display.vvv(f"FETCH {in_path} TO {out_path}", host=self._host)
        told = Output()
        with Path(out_path).open("wb") as target:

            def take(stream: int, data: bytes) -> None:
                if stream == STDOUT:
                    target.write(data)
                else:
                    told.take(stream, data)

            code = self._run({"do": "fetch", "path": in_path}, (), take)
        self._check(code, told, f"reading {in_path}")

    def close(self) -> None:
        """Nothing is held between commands; the agent stays for the next task."""
        self._connected = False

    def reset(self) -> None:
        """Start over; the agent itself remembers nothing of what it ran."""
        self.close()
        self._connect()

    @property
    def _host(self) -> str:
        return str(self._play_context.remote_addr)

    def _note(self, text: str) -> None:
        display.vvv(text, host=self._host)

    def _run(self, request: client.Request, stdin: Iterable[bytes], take: Callable[[int, bytes], None]) -> int:
        container, python = self.get_option("container"), self.get_option("python")
        request = {**request, "user": self.get_option("remote_user") or ""}
        try:
            sock = launch.attach(engine_address(), container, python, self._note)
        except launch.NoAgentError as error:
            self._note(f"the engine runs this command: {error}")
            return self._run_without_agent(container, request, stdin, take)
        except TierwrightError as error:
            raise AnsibleConnectionFailure(str(error)) from None
        try:
            return agent.run(sock, request, stdin=stdin, take=take, note=self._note).code
        except TooMuchOutputError as error:
            raise AnsibleError(str(error)) from None
        except agent.AgentLostError:
            # Imported here and below only: the engine's SDK takes longer than a task.
            from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.fallback import what_died  # noqa: PLC0415

            raise AnsibleConnectionFailure(what_died(container)) from None

    def _run_without_agent(
        self, container: str, request: client.Request, stdin: Iterable[bytes], take: Callable[[int, bytes], None]
    ) -> int:
        from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import fallback  # noqa: PLC0415

        try:
            return fallback.run(container, request, stdin=stdin, take=take)
        except TooMuchOutputError as error:
            raise AnsibleError(str(error)) from None
        except EngineError as error:
            raise AnsibleConnectionFailure(str(error)) from None

    def _check(self, code: int, told: Output, doing: str) -> None:
        if code != 0:
            reason = (told.stdout + told.stderr).decode(errors="replace").strip()
            raise AnsibleError(f"{doing} in the build container failed with status {code}: {reason}")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece
