"""Real agents that run on this machine instead of in a container, and a client for them."""

from __future__ import annotations

import functools
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import client, package
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.inside import frames
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.keeper import AgentSocket

#: Time limit in seconds, much longer than anything here takes.
PATIENCE = 15

_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def _interpreters() -> dict[str, str]:
    """Versions and paths of installed Pythons that the agent must support: the oldest, this one and the newest.

    With the variable ``AGENT_PYTHONS=others``, these are this one and those in between (session ``newest`` of nox). So
    the sessions together test each Python. With ``all``, these are all installed Pythons (``make soak``).
    """
    paths = {"{}.{}".format(*sys.version_info): sys.executable}
    for version in (f"3.{minor}" for minor in range(8, 15)):
        pyenv = sorted(str(path) for path in Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
        for path in filter(None, [*pyenv, shutil.which(f"python{version}")]):
            process = subprocess.run([path, "-c", _VERSION], capture_output=True, text=True, check=False)
            if process.stdout.strip() == version:  # a shim of pyenv may exist without its Python
                paths.setdefault(version, path)
    in_order = sorted(paths, key=lambda version: int(version[2:]))
    own = "{}.{}".format(*sys.version_info)
    chosen = {
        "": {in_order[0], own, in_order[-1]},
        "others": {own, *in_order[1:-1]},
        "all": set(in_order),
    }[os.environ.get("AGENT_PYTHONS", "")]
    return {version: path for version, path in paths.items() if version in chosen}


INTERPRETERS = _interpreters()
PYTHONS = [
    pytest.param(INTERPRETERS[version], id=version)
    for version in sorted(INTERPRETERS, key=lambda version: int(version[2:]))
]
VERSIONS = {path: version for version, path in INTERPRETERS.items()}
OLDEST = PYTHONS[0].values[0]


@dataclass
class CommandResult:
    """Exit status, output and notes of a command."""

    code: int = -1
    signal: int = -1
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    notes: list[str] = field(default_factory=list)


def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Wait until a condition is true, and return its value."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"the condition is not true after {seconds} s"
        time.sleep(0.01)
    return answer


class Agent:
    """A running agent, started in the way the keeper starts it."""

    until = staticmethod(until)

    def __init__(
        self,
        python: str,
        payload: bytes,
        *,
        listen: bool = True,
        user: str = "",
        wrapper: tuple[str, ...] = (),
        **environment: str,
    ) -> None:
        self.folder = tempfile.mkdtemp(dir="/tmp")  # the path of a socket must be short
        #: Replaces the folder that it would share with all agents of this machine.
        self.memory = Path(tempfile.mkdtemp(dir="/dev/shm"))
        self.memory.chmod(0o711)
        self._socket = AgentSocket(Path(self.folder, "agent.sock"))
        self.path = str(self._socket.path)
        self._handover = threading.Thread(target=self._hand_over_listener, daemon=True)
        command = package.command(python, str(self._socket.handover_path) if listen else "", user)
        self.process = subprocess.Popen(
            [*wrapper, *(word.replace('"/dev/shm"', f'"{self.memory}"') for word in command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **environment},
        )
        self._handover.start()
        self.python, self.version, self.pid = python, VERSIONS[python], self.process.pid
        self.frames: list[tuple[int, int, bytes]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._write(payload)

    def _hand_over_listener(self) -> None:
        while not select.select([self._socket.handover], [], [], 0.1)[0]:
            if self.process.poll() is not None:
                return
        self._socket.hand_over()
        self._socket.listener.close()
        self._socket.open()

    @functools.cached_property
    def about(self) -> dict[str, Any]:
        """The message of the agent when it is ready."""
        until(lambda: self.frames or self.process.poll() is not None)
        assert self.frames, self.process.stderr.read().decode()
        assert self.frames[0][:2] == (0, frames.READY)
        message: dict[str, Any] = json.loads(self.frames[0][2])
        if not message["no_socket"]:
            self._handover.join(PATIENCE)
        return message

    def _read(self) -> None:
        decoder = frames.Decoder(lambda *frame: self.frames.append(frame))
        while data := self.process.stdout.read(1 << 16):
            decoder.feed(data)

    def _write(self, data: bytes) -> None:
        remaining = memoryview(data)
        while remaining:
            remaining = remaining[self.process.stdin.write(remaining) :]

    def send(self, channel: int, kind: int, payload: bytes = b"") -> None:
        """Send a frame over the stream that all commands share."""
        self._write(frames.encode(channel, kind, payload))

    def open(self, channel: int, *argv: str) -> None:
        """Start a command over the shared stream."""
        self.send(channel, frames.OPEN, json.dumps({"do": "exec", "argv": argv}).encode())

    def received(self, channel: int, kind: int) -> bytes:
        """The data of a channel and kind that has arrived over the shared stream so far."""
        return b"".join(data for *header, data in list(self.frames) if header == [channel, kind])

    def end_of(self, channel: int) -> dict[str, int]:
        """Exit status and signal of a command over the shared stream."""
        return json.loads(until(lambda: self.received(channel, frames.EXIT)))

    def connect(self) -> socket.socket:
        """Connect to the agent's socket."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(self.path)
        except OSError:
            sock.close()
            raise
        return sock

    def run(self, request: dict[str, Any], *stdin: bytes) -> CommandResult:
        """Run a command over a new connection, as the connection plugin does."""
        result = CommandResult()

        def take(stream: int, data: bytes) -> None:
            (result.stdout if stream == 1 else result.stderr).extend(data)

        end = client.run(self.connect(), request, stdin=stdin, take=take, note=result.notes.append)
        result.code, result.signal = end.code, end.signal
        return result

    def sh(self, script: str, *stdin: bytes, **request: Any) -> CommandResult:
        """Run a shell script in the same way."""
        return self.run({"do": "exec", "argv": ["/bin/sh", "-c", script], **request}, *stdin)

    def descriptors(self) -> int:
        """The number of open files of the agent."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def children(self) -> int:
        """The number of child processes, including ended ones, without the one that waits for a command."""
        return max(0, self._children() - 1)

    def idle_descriptors(self) -> int:
        """The number of open files while a child waits for the next command, and has received its descriptors."""
        until(lambda: self._children() == 1)
        counts: list[int] = []
        while len(counts) < 20 or len(set(counts)) > 1:  # on a busy machine, this takes a moment
            time.sleep(0.01)
            counts = [*counts, self.descriptors()][-20:]
        return counts[0]

    def _children(self) -> int:
        return len(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split())

    def wait(self, seconds: float = 5) -> int:
        """Wait until the agent has ended."""
        return self.process.wait(seconds)

    def close(self) -> None:
        """End the agent, if it still runs, and free its resources."""
        self.process.stdin.close()
        try:
            self.wait()
        finally:
            self.process.kill()
            self._reader.join(PATIENCE)
            self._handover.join(PATIENCE)
            self._socket.close()
            self.process.stdout.close()
            self.process.stderr.close()
            self.process.wait()
            shutil.rmtree(self.folder)
            shutil.rmtree(self.memory)


@pytest.fixture(scope="session")
def payload() -> bytes:
    """The data that is sent to every agent."""
    return package.payload()


Start = Callable[..., Agent]


@pytest.fixture
def start(payload: bytes) -> Iterator[Start]:
    """Start an agent for one test, by default on the oldest Python."""
    started: list[Agent] = []

    def make(python: str = OLDEST, *, sends: bytes = payload, ready: bool = True, **options: Any) -> Agent:
        started.append(Agent(python, sends, **options))
        assert not ready or started[-1].about
        return started[-1]

    yield make
    for agent in started:
        agent.close()


@pytest.fixture(scope="session")
def shared(payload: bytes) -> Iterator[Callable[[str], Agent]]:
    """One agent of each Python, for all tests that do not change it."""
    running: dict[str, Agent] = {}

    def get(python: str) -> Agent:
        if python not in running:
            running[python] = Agent(python, payload)
            assert running[python].about["no_socket"] == ""
        return running[python]

    yield get
    for agent in running.values():
        agent.close()


@pytest.fixture(params=PYTHONS)
def agent(request: pytest.FixtureRequest, shared: Callable[[str], Agent]) -> Agent:
    """An agent of each Python."""
    return shared(request.param)


@pytest.fixture(params=[PYTHONS[0], PYTHONS[-1]])
def an_agent(request: pytest.FixtureRequest, shared: Callable[[str], Agent]) -> Agent:
    """An agent of the oldest and of the newest Python, for tests that do not depend on the version much."""
    return shared(request.param)
