# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connection plugin for build containers."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tier
short_description: Run tasks in a tier's build container, or in a throw-away container of its image
description:
  - Runs the tasks of a tier's role in its build container. It needs neither an SSH server nor the C(docker) command.
  - Outside of a build, tasks run in a throw-away container of the tier's released image, and their changes are lost.
    All tasks of one C(ansible) or C(ansible-playbook) share it. It is removed when that program ends.
  - Set C(ansible_connection=tierwright.chain.tier) for the group C(tiers) in the inventory. Then Ansible never connects
    to a server that has the name of a tier. C(ansible httpd-php -m ansible.builtin.command -a 'apache2 -v') looks into
    the image.
  - The first task starts an agent in the container through the API of the container engine. The agent is a Python
    process that has imported the code that modules share. It runs each module on a fork of itself. It ends when the
    container or C(ansible-playbook) ends, and leaves nothing in the image.
  - If the engine is on this machine, tasks reach the agent through a socket in a private folder. Otherwise all tasks
    share one stream of the engine.
  - A task fails if its command writes more than 64 MiB to standard output and error.
  - If the agent cannot run a module on a fork, it starts an interpreter or a shell. C(-vvv) shows the reason.
  - The engine is the one that E(DOCKER_HOST) names, or the one at the local socket if E(DOCKER_HOST) is not set.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
options:
  container:
    description:
      - Name of the running build container, as P(tierwright.chain.tier_start#module) returns it.
      - An ID works too, but then all tasks share one stream of the engine.
      - Without it, the tasks run in a throw-away container of the tier's released image.
    type: str
    vars:
      - name: tier_container
  python:
    description:
      - The Python interpreter in the container that runs the agent.
      - If a module requires a different interpreter, that interpreter is started for each such module, which is slower.
    type: str
    default: auto
    vars:
      - name: ansible_python_interpreter
  tier:
    description: Name of the tier.
    type: str
    vars:
      - name: inventory_hostname
  image:
    description: Name of the tier's image without a tag; by default the image that it follows, or the tier's name.
    type: str
    vars:
      - name: tier_image
  tag:
    description: Release tag of the tier; by default the tag that it follows, or V(latest).
    type: str
    vars:
      - name: tier_tag
  follow:
    description: The image of another team that the tier follows.
    type: dict
    vars:
      - name: tier_follow
  remote_user:
    description:
      - The user of the tasks in the container, as a name or a number.
    type: str
    default: root
    vars:
      - name: ansible_user
    keyword:
      - name: remote_user
  pipelining:
    description:
      - Send modules through standard input instead of copying them as files.
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

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import stopwatch
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import client, launch
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
    """A connection to one build container. The implementation is in ``plugin_utils._core.agent``."""

    transport = "tierwright.chain.tier"
    has_pipelining = True
    has_tty = False

    _connected: bool

    def _connect(self) -> Connection:
        # Each command connects to the agent separately, which is cheap while the agent runs.
        self._connected = True
        return self

    @ensure_connect
    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command line; see the base class."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        if sudoable and self.become and self.become.expect_prompt():
            raise AnsibleError(
                f"become_method {self.become.name} would ask for a password, but root in a build container does not "
                "need one; remove become_password"
            )
        request = client.request(cmd, has_input=bool(in_data))
        display.vvv(f"EXEC {client.describe_request(request)}", host=self._host)
        if in_data and request["do"] != "module":
            self._log("a shell is started for this module: its command line is more than one interpreter call")
        output = Output()
        code = self._run(request, [in_data] if in_data else [], output.take)
        return code, bytes(output.stdout), bytes(output.stderr)

    @ensure_connect
    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file into the container, in chunks."""
        display.vvv(f"PUT {in_path} TO {out_path}", host=self._host)
        source = Path(in_path)
        if not source.is_file():
            raise AnsibleFileNotFound(f"file to copy into the build container does not exist: {in_path}")
        output = Output()
        code = self._run({"do": "put", "path": out_path}, _chunks(source), output.take)
        self._check(code, output, f"writing {out_path}")

    @ensure_connect
    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file out of the container, in chunks."""
        display.vvv(f"FETCH {in_path} TO {out_path}", host=self._host)
        output = Output()
        with Path(out_path).open("wb") as target:

            def take(stream: int, data: bytes) -> None:
                if stream == STDOUT:
                    target.write(data)
                else:
                    output.take(stream, data)

            code = self._run({"do": "fetch", "path": in_path}, (), take)
        self._check(code, output, f"reading {in_path}")

    def close(self) -> None:
        """Close the connection. Nothing is open between commands, and the agent stays for the next task."""
        self._connected = False

    def reset(self) -> None:
        """Reconnect. The agent keeps no state of earlier commands."""
        self.close()
        self._connect()

    @property
    def _host(self) -> str:
        return str(self._play_context.remote_addr)

    def _log(self, text: str) -> None:
        display.vvv(text, host=self._host)

    def _run(self, request: client.Request, stdin: Iterable[bytes], take: Callable[[int, bytes], None]) -> int:
        container, python = self._container(), self.get_option("python")
        request = {**request, "user": self.get_option("remote_user") or ""}
        with stopwatch.measured("module" if request["do"] in {"module", "exec"} else "transfer"):
            return self._run_with_agent(container, python, request, stdin, take)

    def _run_with_agent(
        self,
        container: str,
        python: str,
        request: client.Request,
        stdin: Iterable[bytes],
        take: Callable[[int, bytes], None],
    ) -> int:
        try:
            sock = launch.attach(engine_address(), container, python, self._log)
        except launch.NoAgentError as error:
            self._log(f"the engine runs this command: {error}")
            return self._run_without_agent(container, request, stdin, take)
        except TierwrightError as error:
            raise AnsibleConnectionFailure(str(error)) from None
        try:
            return client.run(sock, request, stdin=stdin, take=take, note=self._log).code
        except TooMuchOutputError as error:
            raise AnsibleError(str(error)) from None
        except client.AgentLostError:
            # Imported only when it is needed, because importing the SDK takes longer than a task.
            from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.fallback import explain_loss  # noqa: PLC0415

            raise AnsibleConnectionFailure(explain_loss(container)) from None

    def _container(self) -> str:
        """Return the build container, or outside of a build a throw-away container of the tier's released image."""
        container = self.get_option("container")
        if container:
            return str(container)
        # Imported only when it is needed, as above: the tasks of a build do not need it.
        from ansible_collections.tierwright.chain.plugins.plugin_utils._core.look_inside import (  # noqa: PLC0415
            released_container,
        )

        tier, image, tag, follow = (self.get_option(name) for name in ("tier", "image", "tag", "follow"))
        try:
            return released_container.released_container(str(tier or self._host), image, tag, follow, self._log)
        except TierwrightError as error:
            raise AnsibleConnectionFailure(str(error)) from None

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

    def _check(self, code: int, output: Output, action: str) -> None:
        if code != 0:
            reason = (output.stdout + output.stderr).decode(errors="replace").strip()
            raise AnsibleError(f"{action} in the build container failed with status {code}: {reason}")


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
