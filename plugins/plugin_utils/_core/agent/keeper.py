# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keeper process and its listening socket.

The socket that tasks knock at: made by the controller, and handed to the agent where there is a way.

The agent gets it as an open descriptor (``SCM_RIGHTS``, unix(7)) through a second socket beside it. So the folder of
both can be mounted read-only in the build container, where nothing that runs there can put anything in its place.

The keeper: the controller's process that holds one agent for as long as one ansible-playbook runs.

It starts the agent through an exec of the engine and keeps that stream open. The stream's end is the agent's end, so
an agent can outlive neither its ansible-playbook, which the keeper watches, nor the keeper. Where the agent's socket
cannot be reached (the engine is another machine's), the keeper listens in its place and carries everything over the
stream.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from ..engine import streams as engine_streams
from ..engine.docker_config import engine_address
from ..engine.engine import unopened
from ..errors import EngineError, TierwrightError
from . import launch, package
from .inside import frames
from .inside.link import READ, Link, Loop


class Door:
    """A listening socket that has its name only once somebody serves it."""

    def __init__(self, path: Path) -> None:
        """Listen; ``path`` is the name that it will have.

        Raises:
            OSError: It cannot be made there.
        """
        self.path = path
        self._aside = path.with_suffix(".new")
        self.giver_path = path.with_suffix(".give")
        for each in (path, self._aside, self.giver_path):
            each.unlink(missing_ok=True)
        self.listener = _listening(self._aside)
        self.giver = _listening(self.giver_path)

    def give(self) -> None:
        """Hand the socket to whoever waits at the second one."""
        with contextlib.suppress(OSError):  # it went away again
            near, _ = self.giver.accept()
            with near:
                socket.send_fds(near, [b"\0"], [self.listener.fileno()])

    def open(self) -> None:
        """Give the socket its name."""
        self.giver.close()
        self.giver_path.unlink(missing_ok=True)
        self._aside.replace(self.path)

    def close(self) -> None:
        """Remove it."""
        for sock in (self.listener, self.giver):
            sock.close()
        for each in (self.path, self._aside, self.giver_path):
            each.unlink(missing_ok=True)


def _listening(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(str(path))
        path.chmod(0o600)
        sock.listen(64)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


#: Seconds that an agent may take to start: sending and importing its code takes less than one.
_START_SECONDS = 60.0

#: How often a system without process descriptors is asked whether ansible-playbook still runs.
_LOOK_SECONDS = 0.5

#: Exit statuses of an exec whose program is missing or cannot be run.
_NO_PROGRAM = frozenset({126, 127})

#: End of what an agent wrote to its standard error, for the message when it fails.
_LAST_WORDS = 2000

Tell = Callable[[dict[str, str]], None]


class Keeper:
    """Holds one agent."""

    def __init__(self, container: str, owner: int, tell: Tell) -> None:
        """Prepare.

        Args:
            container: Name or ID of the build container.
            owner: Process ID of the ansible-playbook.
            tell: Called once, with ``mode`` or with ``error`` and its ``kind``.
        """
        self._container, self._owner, self._tell = container, owner, tell
        self._loop = Loop()
        self._door = Door(launch.make_agent_folder(engine_address(), container) / launch.socket_name(owner))
        self._agent: Link | None = None
        self._decoder = frames.Decoder(self._from_agent)
        self._words = b""
        self._ready = self._late = False
        self._serves_itself = False
        self._channels: dict[int, Link] = {}
        self._next = 1

    def run(self, python: str) -> None:
        """Start the agent with the interpreter ``python`` and keep it until the end.

        Raises:
            EngineError: The engine refused, or the agent did not start.
        """
        engine = unopened()
        inside = f"{launch.INSIDE}/{self._door.giver_path.name}" if engine.address.startswith("unix://") else ""
        self._loop.watch(self._door.giver.fileno(), READ, self._door.give)
        try:
            command = package.command(python, inside, engine.exec.user_of(self._container))
        except EngineError:
            self._door.close()
            raise
        with contextlib.closing(self._door), engine.exec.attach(self._container, command, "0:0") as agent:
            agent.socket.setblocking(False)
            reader = os.dup(agent.socket.fileno())
            streams = engine_streams.Frames(self._from_engine)
            self._agent = Link(self._loop, reader, os.dup(reader), streams.feed, self._loop.stop)
            streams.feed(agent.ahead)
            self._agent.send_bytes(package.payload())
            self._watch_owner()
            self._loop.later(_START_SECONDS, self._check_started)
            self._loop.run()
            self._agent.close()
            self._end_agent()
        if not self._ready:
            self._explain(agent, python)

    def _end_agent(self) -> None:
        """Tell an agent with a socket of its own to end: it does not see that an engine was killed (measured)."""
        if self._serves_itself:
            with socket.socket(socket.AF_UNIX) as sock, contextlib.suppress(OSError):
                sock.connect(str(self._door.path))
                sock.sendall(frames.encode(0, frames.END))

    def _explain(self, agent: engine_streams.StartedCommand, python: str) -> None:
        status = agent.status()
        words = self._words.decode(errors="replace").strip()
        if status in _NO_PROGRAM:
            raise NoInterpreterError(
                f"build container {self._container} has no Python at {python}, so no agent can run there"
            )
        if self._late:
            raise EngineError(f"the agent in build container {self._container} did not start within {_START_SECONDS} s")
        raise EngineError(
            f"the agent in build container {self._container} ended with status {status} as it started: {words}"
        )

    def _from_engine(self, number: int, data: bytes) -> None:
        if number == engine_streams.STDOUT:
            self._decoder.feed(data)
        else:
            self._words = (self._words + data)[-_LAST_WORDS:]

    def _from_agent(self, channel: int, kind: int, payload: bytes) -> None:
        if kind == frames.READY:
            self._started(json.loads(payload))
        elif channel in self._channels:
            link = self._channels[channel]
            link.send(0, kind, payload)
            if kind == frames.EXIT:
                del self._channels[channel]
                link.finish()
            elif link.full and self._agent:
                self._agent.pause()
                link.when_drained(self._agent.resume)

    def _started(self, about: dict[str, str]) -> None:
        self._ready = True
        self._loop.forget(self._door.giver.fileno())
        self._serves_itself = not about["no_socket"]
        if self._serves_itself:
            self._door.listener.close()
        else:
            self._loop.watch(self._door.listener.fileno(), READ, self._accept)
        self._door.open()
        mode = "its own socket" if self._serves_itself else f"one stream (no socket of its own: {about['no_socket']})"
        self._tell({"mode": mode})

    def _accept(self) -> None:
        if self._agent is None:
            return
        agent, channel = self._agent, self._next
        near, _ = self._door.listener.accept()
        near.setblocking(False)
        self._next += 1

        def take(_channel: int, kind: int, payload: bytes) -> None:
            agent.send(channel, kind, payload)
            if agent.full:
                link.pause()
                agent.when_drained(link.resume)

        def gone() -> None:
            if self._channels.pop(channel, None) is not None:
                agent.send(channel, frames.ABORT)

        reader = near.detach()
        link = Link(self._loop, reader, os.dup(reader), frames.Decoder(take).feed, gone)
        self._channels[channel] = link

    def _watch_owner(self) -> None:
        try:
            descriptor = os.pidfd_open(self._owner)
        except ProcessLookupError:
            self._loop.stop()
        except (AttributeError, OSError):
            self._look_for_owner()
        else:
            self._loop.watch(descriptor, READ, self._loop.stop)

    def _look_for_owner(self) -> None:
        try:
            os.kill(self._owner, 0)
        except OSError:
            self._loop.stop()
        else:
            self._loop.later(_LOOK_SECONDS, self._look_for_owner)

    def _check_started(self) -> None:
        if not self._ready:
            self._late = True
            self._loop.stop()


class NoInterpreterError(EngineError):
    """The build container has no Python for the agent."""


def _tell_and_detach(answer: dict[str, str]) -> None:
    """Answer who started this process, and let go of them."""
    os.write(1, json.dumps(answer).encode())
    nothing = os.open(os.devnull, os.O_RDWR)
    for each in (0, 1, 2):
        os.dup2(nothing, each)


def _reason(container: str, error: TierwrightError) -> str:
    """Say why the agent could not be started: that its container is gone, where that is why."""
    from .fallback import why_gone  # noqa: PLC0415 - only where it is needed, for the import of the SDK takes long

    try:
        return why_gone(container) or str(error)
    except TierwrightError as worse:
        return str(worse)


def main(container: str, owner: str, python: str) -> None:
    """Be a keeper; the process that calls this is left at once and goes on in the background."""
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    told: list[dict[str, str]] = []

    def tell(answer: dict[str, str]) -> None:
        if not told:
            told.append(answer)
            _tell_and_detach(answer)

    try:
        Keeper(container, int(owner), tell).run(python)
    except NoInterpreterError as error:
        tell({"error": str(error), "kind": "no interpreter"})
    except TierwrightError as error:
        tell({"error": _reason(container, error), "kind": "engine"})
    except Exception as error:  # noqa: BLE001 - whoever waits for the answer must get one
        tell({"error": f"the keeper of build container {container} failed: {error!r}", "kind": "engine"})


if __name__ == "__main__":
    main(*sys.argv[1:])
