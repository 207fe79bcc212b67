"""A real agent that runs on this machine instead of in a container, and talk with it."""

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

#: Seconds that anything may take here, which is much more than it does.
PATIENCE = 15

_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def _interpreters() -> dict[str, str]:
    """Version and path of Pythons that the agent must run on and that start here: the oldest, this one, the newest.

    With the variable ``AGENT_PYTHONS=all`` those between as well (``make unit-versions``).
    """
    found = {"{}.{}".format(*sys.version_info): sys.executable}
    for version in (f"3.{minor}" for minor in range(8, 15)):
        pyenv = sorted(str(path) for path in Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
        for path in filter(None, [*pyenv, shutil.which(f"python{version}")]):
            told = subprocess.run([path, "-c", _VERSION], capture_output=True, text=True, check=False)
            if told.stdout.strip() == version:  # one of pyenv's shims may be there without its Python
                found.setdefault(version, path)
    if os.environ.get("AGENT_PYTHONS") == "all":
        return found
    in_order = sorted(found, key=lambda version: int(version[2:]))
    own = "{}.{}".format(*sys.version_info)
    return {version: path for version, path in found.items() if version in {in_order[0], own, in_order[-1]}}


INTERPRETERS = _interpreters()
PYTHONS = [pytest.param(INTERPRETERS[each], id=each) for each in sorted(INTERPRETERS, key=lambda v: int(v[2:]))]
VERSIONS = {path: version for version, path in INTERPRETERS.items()}
OLDEST = PYTHONS[0].values[0]


@dataclass
class Done:
    """What became of a command."""

    code: int = -1
    signal: int = -1
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    notes: list[str] = field(default_factory=list)


def until(true: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Wait until ``true()`` is."""
    end = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < end, "that took too long"
        time.sleep(0.01)
    return answer


class Agent:
    """An agent that runs, started as the keeper starts it."""

    until = staticmethod(until)

    def __init__(self, python: str, payload: bytes, *, listen: bool = True, user: str = "", **environment: str) -> None:
        self.folder = tempfile.mkdtemp(dir="/tmp")  # where a socket's path is short enough
        #: Its own, in place of what it would share with all agents of this machine.
        self.memory = Path(tempfile.mkdtemp(dir="/dev/shm"))
        self.memory.chmod(0o711)
        self._socket = AgentSocket(Path(self.folder, "agent.sock"))
        self.path = str(self._socket.path)
        self._giver = threading.Thread(target=self._give, daemon=True)
        command = package.command(python, str(self._socket.handover_path) if listen else "", user)
        self.process = subprocess.Popen(
            [word.replace('"/dev/shm"', f'"{self.memory}"') for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **environment},
        )
        self._giver.start()
        self.python, self.version, self.pid = python, VERSIONS[python], self.process.pid
        self.frames: list[tuple[int, int, bytes]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._write(payload)

    def _give(self) -> None:
        while not select.select([self._socket.handover], [], [], 0.1)[0]:
            if self.process.poll() is not None:
                return
        self._socket.hand_over()
        self._socket.listener.close()
        self._socket.open()

    @functools.cached_property
    def about(self) -> dict[str, Any]:
        """What the agent says of itself when it is ready."""
        until(lambda: self.frames or self.process.poll() is not None)
        assert self.frames, self.process.stderr.read().decode()
        assert self.frames[0][:2] == (0, frames.READY)
        told: dict[str, Any] = json.loads(self.frames[0][2])
        if not told["no_socket"]:
            self._giver.join(PATIENCE)
        return told

    def _read(self) -> None:
        decoder = frames.Decoder(lambda *frame: self.frames.append(frame))
        while data := self.process.stdout.read(1 << 16):
            decoder.feed(data)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self.process.stdin.write(left) :]

    def send(self, channel: int, kind: int, payload: bytes = b"") -> None:
        """Send a frame over the stream that is for all commands."""
        self._write(frames.encode(channel, kind, payload))

    def open(self, channel: int, *argv: str) -> None:
        """Start a command over that stream."""
        self.send(channel, frames.OPEN, json.dumps({"do": "exec", "argv": argv}).encode())

    def taken(self, channel: int, kind: int) -> bytes:
        """What came so far over that stream."""
        return b"".join(data for each, of, data in list(self.frames) if (each, of) == (channel, kind))

    def end_of(self, channel: int) -> dict[str, int]:
        """How a command over that stream ended."""
        return json.loads(until(lambda: self.taken(channel, frames.EXIT)))

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

    def run(self, request: dict[str, Any], *stdin: bytes) -> Done:
        """Run a command over a connection of its own, as the connection plugin does."""
        done = Done()

        def take(stream: int, data: bytes) -> None:
            (done.stdout if stream == 1 else done.stderr).extend(data)

        end = client.run(self.connect(), request, stdin=stdin, take=take, note=done.notes.append)
        done.code, done.signal = end.code, end.signal
        return done

    def sh(self, script: str, *stdin: bytes, **more: Any) -> Done:
        """Run a shell's script so."""
        return self.run({"do": "exec", "argv": ["/bin/sh", "-c", script], **more}, *stdin)

    def descriptors(self) -> int:
        """How many files the agent has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def children(self) -> int:
        """How many child processes the agent has, ended ones included, without the one that waits for a command."""
        return max(0, self._children() - 1)

    def at_rest(self) -> int:
        """How many descriptors are open once a child waits for the next command, and has got what is its own."""
        until(lambda: self._children() == 1)
        looks: list[int] = []
        while len(looks) < 20 or len(set(looks)) > 1:  # on a busy machine, that takes a moment
            time.sleep(0.01)
            looks = [*looks, self.descriptors()][-20:]
        return looks[0]

    def _children(self) -> int:
        return len(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split())

    def wait(self, seconds: float = 5) -> int:
        """Wait until the agent has ended."""
        return self.process.wait(seconds)

    def close(self) -> None:
        """End the agent, if it still runs, and let go of it."""
        self.process.stdin.close()
        try:
            self.wait()
        finally:
            self.process.kill()
            self._reader.join(PATIENCE)
            self._giver.join(PATIENCE)
            self._socket.close()
            self.process.stdout.close()
            self.process.stderr.close()
            self.process.wait()
            shutil.rmtree(self.folder)
            shutil.rmtree(self.memory)


@pytest.fixture(scope="session")
def payload() -> bytes:
    """What every agent is sent."""
    return package.payload()


Start = Callable[..., Agent]


@pytest.fixture
def start(payload: bytes) -> Iterator[Start]:
    """Start agents that are the test's own, on the oldest Python if it names none."""
    started: list[Agent] = []

    def make(python: str = OLDEST, *, sends: bytes = payload, ready: bool = True, **options: Any) -> Agent:
        started.append(Agent(python, sends, **options))
        assert not ready or started[-1].about
        return started[-1]

    yield make
    for each in started:
        each.close()


@pytest.fixture(scope="session")
def shared(payload: bytes) -> Iterator[Callable[[str], Agent]]:
    """One agent of each Python for all tests that leave it as it was."""
    running: dict[str, Agent] = {}

    def get(python: str) -> Agent:
        if python not in running:
            running[python] = Agent(python, payload)
            assert running[python].about["no_socket"] == ""
        return running[python]

    yield get
    for each in running.values():
        each.close()


@pytest.fixture(params=PYTHONS)
def agent(request: pytest.FixtureRequest, shared: Callable[[str], Agent]) -> Agent:
    """An agent of each Python."""
    return shared(request.param)


@pytest.fixture(params=[PYTHONS[0], PYTHONS[-1]])
def an_agent(request: pytest.FixtureRequest, shared: Callable[[str], Agent]) -> Agent:
    """An agent of the oldest and of the newest Python, where the others would tell nothing new."""
    return shared(request.param)
