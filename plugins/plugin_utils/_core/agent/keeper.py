# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keeper: a process on the controller that holds one agent until its ansible-playbook ends.

The keeper starts the agent through an exec of the engine, and keeps this stream open. When the stream ends, the agent
ends. The keeper also watches ansible-playbook, so the agent ends with either of them.

Tasks connect to a listening socket that the keeper makes. If the engine is on this machine, the agent gets this socket
as an open descriptor (``SCM_RIGHTS``, unix(7)) through a second socket. The folder of both sockets is mounted read-only
in the build container, so no process there can replace them. Otherwise the keeper itself listens at the socket, and
forwards everything over the stream.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ..engine import streams as engine_streams
from ..engine.docker_config import engine_address
from ..engine.engine import lazy_engine
from ..errors import EngineError, TierwrightError
from ..local_files import lock
from . import launch, package
from .inside import frames
from .inside.link import READ, FrameLink, Loop


class AgentSocket:
    """The listening socket for tasks. It gets its final name only when the agent or the keeper serves it."""

    def __init__(self, path: Path) -> None:
        """Create the sockets; ``path`` is the final name.

        Raises:
            OSError: A socket cannot be created there.
        """
        self.path = path
        self._temporary_path = path.with_suffix(".new")
        self.handover_path = path.with_suffix(".give")
        for socket_path in (path, self._temporary_path, self.handover_path):
            socket_path.unlink(missing_ok=True)
        self.listener = _listen(self._temporary_path)
        self.handover = _listen(self.handover_path)

    def hand_over(self) -> None:
        """Send the listening socket to the agent, which has connected to the second socket."""
        with contextlib.suppress(OSError):  # the agent closed the connection again
            near, _ = self.handover.accept()
            with near:
                socket.send_fds(near, [b"\0"], [self.listener.fileno()])

    def open(self) -> None:
        """Rename the socket to its final name."""
        self.handover.close()
        self.handover_path.unlink(missing_ok=True)
        self._temporary_path.replace(self.path)

    def close(self) -> None:
        """Close and remove the sockets."""
        for sock in (self.listener, self.handover):
            sock.close()
        for socket_path in (self.path, self._temporary_path, self.handover_path):
            socket_path.unlink(missing_ok=True)


def _listen(path: Path) -> socket.socket:
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


#: Timeout for the start of an agent in seconds. Sending and importing its code takes less than one second.
_START_SECONDS = 60.0

#: Seconds between checks whether ansible-playbook still runs, on systems without process descriptors.
_POLL_SECONDS = 0.5

#: Exit statuses of an exec if the program does not exist or cannot be run.
_NO_PROGRAM = frozenset({126, 127})

#: Number of bytes at the end of the agent's standard error that an error message quotes.
_QUOTED_BYTES = 2000

Report = Callable[[dict[str, str]], None]


class Keeper:
    """Starts one agent, and holds it until the end of its ansible-playbook."""

    def __init__(self, container: str, owner: int, report: Report) -> None:
        """Prepare.

        Args:
            container: Name or ID of the build container.
            owner: Process ID of the ansible-playbook.
            report: Called once, with ``mode``, or with ``error`` and its ``kind``.
        """
        self._container, self._owner, self._report = container, owner, report
        self._loop = Loop()
        self._socket = AgentSocket(launch.make_agent_folder(engine_address(), container) / launch.socket_name(owner))
        self._agent: FrameLink | None = None
        self._decoder = frames.Decoder(self._from_agent)
        self._stderr = b""
        self._ready = self._late = False
        self._serves_itself = False
        self._channels: dict[int, FrameLink] = {}
        self._next = 1

    def run(self, python: str) -> None:
        """Start the agent with the interpreter ``python``, and hold it until the end.

        Raises:
            NoInterpreterError: The interpreter does not exist in the build container.
            EngineError: The engine rejected a request, or the agent did not start.
        """
        engine = lazy_engine()
        handover = f"{launch.INSIDE}/{self._socket.handover_path.name}" if engine.address.startswith("unix://") else ""
        self._loop.watch(self._socket.handover.fileno(), READ, self._socket.hand_over)
        try:
            command = package.command(python, handover, engine.exec.user_of(self._container))
        except EngineError:
            self._socket.close()
            raise
        with contextlib.closing(self._socket), engine.exec.attach(self._container, command, "0:0") as agent:
            agent.socket.setblocking(False)
            reader = os.dup(agent.socket.fileno())
            streams = engine_streams.Frames(self._from_engine)
            self._agent = FrameLink(self._loop, reader, os.dup(reader), streams.feed, self._loop.stop)
            streams.feed(agent.ahead)
            self._agent.send_bytes(package.payload())
            self._watch_owner()
            self._loop.later(_START_SECONDS, self._check_started)
            self._loop.run()
            self._agent.close()
            self._end_agent()
        if not self._ready:
            self._raise_start_error(agent, python)

    def _end_agent(self) -> None:
        """Ask an agent that serves the socket to end: it does not notice that the engine was killed (measured)."""
        if self._serves_itself:
            with socket.socket(socket.AF_UNIX) as sock, contextlib.suppress(OSError):
                sock.connect(str(self._socket.path))
                sock.sendall(frames.encode(0, frames.END))

    def _raise_start_error(self, agent: engine_streams.StartedCommand, python: str) -> None:
        status = agent.status()
        output = self._stderr.decode(errors="replace").strip()
        if status in _NO_PROGRAM:
            raise NoInterpreterError(
                f"build container {self._container} has no Python at {python}, so no agent can run there"
            )
        if self._late:
            raise EngineError(f"the agent in build container {self._container} did not start within {_START_SECONDS} s")
        raise EngineError(
            f"the agent in build container {self._container} ended with status {status} while it started: {output}"
        )

    def _from_engine(self, number: int, data: bytes) -> None:
        if number == engine_streams.STDOUT:
            self._decoder.feed(data)
        else:
            self._stderr = (self._stderr + data)[-_QUOTED_BYTES:]

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
        self._loop.forget(self._socket.handover.fileno())
        self._serves_itself = not about["no_socket"]
        if self._serves_itself:
            self._socket.listener.close()
        else:
            self._loop.watch(self._socket.listener.fileno(), READ, self._accept)
        self._socket.open()
        mode = "its own socket" if self._serves_itself else f"one stream (no socket of its own: {about['no_socket']})"
        waits = f"; its commands wait for the disk: {about['waits_for_disk']}" if about["waits_for_disk"] else ""
        self._report({"mode": f"{mode}{waits}"})

    def _accept(self) -> None:
        if self._agent is None:
            return
        agent, channel = self._agent, self._next
        near, _ = self._socket.listener.accept()
        near.setblocking(False)
        self._next += 1

        def take(_channel: int, kind: int, payload: bytes) -> None:
            agent.send(channel, kind, payload)
            if agent.full:
                link.pause()
                agent.when_drained(link.resume)

        def closed() -> None:
            if self._channels.pop(channel, None) is not None:
                agent.send(channel, frames.ABORT)

        reader = near.detach()
        link = FrameLink(self._loop, reader, os.dup(reader), frames.Decoder(take).feed, closed)
        self._channels[channel] = link

    def _watch_owner(self) -> None:
        try:
            descriptor = os.pidfd_open(self._owner)
        except ProcessLookupError:
            self._loop.stop()
        except (AttributeError, OSError):
            self._poll_owner()
        else:
            self._loop.watch(descriptor, READ, self._loop.stop)

    def _poll_owner(self) -> None:
        try:
            os.kill(self._owner, 0)
        except OSError:
            self._loop.stop()
        else:
            self._loop.later(_POLL_SECONDS, self._poll_owner)

    def _check_started(self) -> None:
        if not self._ready:
            self._late = True
            self._loop.stop()


class NoInterpreterError(EngineError):
    """The build container has no Python for the agent."""


def _detach() -> None:
    """Detach from the process that started this one."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def _start_error(container: str, error: TierwrightError) -> str:
    """Return why the agent could not be started. If its container has ended, this is the reason."""
    from .fallback import why_gone  # noqa: PLC0415 - imports the SDK, which is slow, so only after an error

    try:
        return why_gone(container) or str(error)
    except TierwrightError as engine_error:
        return str(engine_error)


@contextlib.contextmanager
def _locked(path: str) -> Iterator[Callable[[], None]]:
    """Hold the lock on an agent that does not run yet (:func:`.launch.agent_ahead`). Yields what ends the lock."""
    with Path(path).open("wb") as file:
        lock(file, launch.LOCK_SECONDS)
        os.write(1, b"\0")
        yield file.close


def main(container: str, owner: str, python: str, lock_file: str = "") -> None:
    """Run a keeper in the background. The calling process exits at once; a forked child continues.

    Args:
        container: Name or ID of the build container.
        owner: Process ID of its ansible-playbook.
        python: Path of the interpreter for the agent.
        lock_file: The agent's lock file, if the container is being started. A byte on standard input says that it runs.
    """
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    if not lock_file:
        _keep(container, owner, python, lambda: None)
        return
    with contextlib.suppress(OSError, TierwrightError), _locked(lock_file) as unlock:
        if os.read(0, 1):
            _detach()  # nobody waits for the answer
            _keep(container, owner, python, unlock)


def _keep(container: str, owner: str, python: str, answered: Callable[[], None]) -> None:
    answers: list[dict[str, str]] = []

    def report(answer: dict[str, str]) -> None:
        if not answers:
            answers.append(answer)
            os.write(1, json.dumps(answer).encode())
            _detach()
            answered()

    try:
        Keeper(container, int(owner), report).run(python)
    except NoInterpreterError as error:
        report({"error": str(error), "kind": "no interpreter"})
    except TierwrightError as error:
        report({"error": _start_error(container, error), "kind": "engine"})
    except Exception as error:  # noqa: BLE001 - the waiting task must get an answer
        report({"error": f"the keeper of build container {container} failed: {error!r}", "kind": "engine"})


if __name__ == "__main__":
    main(*sys.argv[1:])
