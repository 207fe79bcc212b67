# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the contract tests of other teams in sandboxes.

A sandbox is a container with the lowest layer of the image under test and the mounted Python. It has no network, no
files of this machine, no capabilities, and nothing in its environment. Its tests reach the containers under test
through a :class:`.broker.Broker`. If a sandbox cannot be made, the tests do not run at all.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from ..engine.engine import Engine
from ..engine.inspection import Image
from ..engine.services import ContainerSettings, sandbox_restrictions
from ..engine.streams import STDOUT, Frames, StartedCommand
from ..errors import ContractError, EngineError, SourceError
from ..interpreter import mounted_python
from ..interpreter.mounted_python import Interpreter
from ..sealing.stage_image import stage
from . import sandbox_files
from .broker import Broker, SandboxEnd
from .relay import IDLE_ARGUMENTS
from .session_containers import SessionContainers
from .session_result import SessionFailure, SessionResult, judge

#: Folder of the tests in a sandbox, with a slash.
SANDBOX_TESTS = "/tmp/tests/"  # noqa: S108 - of the sandbox

_NOBODY = "65534:65534"
_MEMORY, _TMPFS, _PROCESSES = 512 << 20, 128 << 20, 128
_CHUNK = 1 << 16
_POLL_SECONDS = 0.5
#: Time for interrupted tests to send their results, in seconds.
_GRACE_SECONDS = 15
#: What is kept of an error output, in bytes, and of results.
_LAST_BYTES = 4096
_MOST_TESTS, _LONGEST_NAME, _LONGEST_TEXT = 10_000, 500, 64 << 10


class Sandboxes(msgspec.Struct, frozen=True):
    """What the sandboxes for the tests of one image have in common."""

    engine: Engine
    #: ID of the image that they are started from.
    image: str
    interpreter: Interpreter


@contextmanager
def sandboxes(engine: Engine, image: Image, *, tier: str, run: str) -> Iterator[Sandboxes]:
    """Prepare sandboxes for the tests of an image.

    Args:
        engine: The engine.
        image: The image under test.
        tier: The tier that it belongs to.
        run: The run, for labels.

    Raises:
        ContractError: The engine or the distribution of the image does not allow a sandbox.
    """
    try:
        interpreter = mounted_python.ensure(engine, tier=tier, parent_image=image, run=run, say=lambda _line: None)
        if interpreter is None:
            raise ContractError(_no_sandbox("there is no mounted Python for images of its distribution"))
        identifier = stage(engine, next(mounted_python.python_sources(image)), run, tier)
    except (EngineError, SourceError) as error:
        raise ContractError(_no_sandbox(str(error))) from error
    try:
        yield Sandboxes(engine, identifier, interpreter)
    finally:
        engine.images.remove(identifier)


def run_in_sandbox(
    ready: Sandboxes,
    containers: SessionContainers,
    folder: Path,
    *,
    tier: str,
    timeout: float,
    has_ended: Callable[[], bool],
) -> SessionResult:
    """Run the contract tests in a folder.

    Args:
        ready: What the sandbox is made from.
        containers: Starts the containers under test. All containers are removed at the end.
        folder: The tests.
        tier: The tier that the image under test belongs to.
        timeout: The time limit in seconds.
        has_ended: Tells whether the run has ended, so that the tests must end, too.

    Returns:
        The results. They have a failure if there is no sandbox, or if the tests were interrupted, or ended without
        results.
    """
    deadline = time.monotonic() + timeout
    try:
        with closing(containers):
            container = _start(ready, containers)
            python = ready.interpreter.python
            options = ["--contract", "--tier", tier, "--image", containers.image.id]
            argv = [python, "-I", "-c", sandbox_files.PROGRAM, *options]
            with ready.engine.exec.started(container, argv, _NOBODY) as command:
                session = _SandboxSession(command, Broker(containers, command.socket.sendall))
                session.send(sandbox_files.library() + sandbox_files.tests(folder))
                try:
                    session.converse(deadline, has_ended)
                finally:
                    containers.close()  # ends all operations that the broker is doing
                    session.broker.close()
            result = session.result(timeout)
    except (EngineError, ContractError, OSError) as error:
        result = SessionResult(failed=(SessionFailure("", _no_sandbox(str(error))),))
    return _limited(result)


def _start(ready: Sandboxes, containers: SessionContainers) -> str:
    settings = ContainerSettings(
        ready.image,
        containers.labels(),
        user=_NOBODY,
        command=(ready.interpreter.python, *IDLE_ARGUMENTS),
        bare=True,
        mounts=[ready.interpreter.mount],
        restrictions=sandbox_restrictions(ready.engine.system, memory=_MEMORY, processes=_PROCESSES, tmpfs=_TMPFS),
    )
    return ready.engine.services.start(settings)


class _SandboxSession:
    """One pytest in a sandbox."""

    def __init__(self, command: StartedCommand, broker: Broker) -> None:
        self.broker = broker
        self._socket = command.socket
        self._errors = bytearray()
        self._interrupted = False
        self._frames = Frames(self._take)
        self._frames.feed(command.ahead)

    def send(self, first: bytes) -> None:
        """Send the program's input, while its output is read."""
        threading.Thread(target=self.broker.send, args=(first,), daemon=True).start()

    def converse(self, deadline: float, has_ended: Callable[[], bool]) -> None:
        """Serve the sandbox until it ends. After the deadline, interrupt the tests, and then leave them."""
        self._socket.settimeout(None)
        while self.broker.end is None and not has_ended():
            if time.monotonic() > deadline:
                if self._interrupted:
                    return
                self._interrupted, deadline = True, time.monotonic() + _GRACE_SECONDS
                threading.Thread(target=self.broker.interrupt, daemon=True).start()
            if select.select([self._socket], [], [], _POLL_SECONDS)[0]:
                chunk = self._socket.recv(_CHUNK)
                if not chunk:
                    return
                self._frames.feed(chunk)

    def result(self, timeout: float) -> SessionResult:
        end = self.broker.end or SandboxEnd(-1, self._errors.decode(errors="replace"))
        result = self.broker.result or SessionResult()
        return judge(result, end.status, end.output, timeout if self._interrupted else None)

    def _take(self, stream: int, data: bytes) -> None:
        if stream == STDOUT:
            self.broker.feed(data)
        else:
            self._errors += data
            del self._errors[:-_LAST_BYTES]


def _no_sandbox(reason: str) -> str:
    return f"contracts of other teams run only in a sandbox, and this one failed: {reason}"


def _limited(result: SessionResult) -> SessionResult:
    """Cut what a hostile test may have sent."""
    failed = tuple(
        SessionFailure(failure.test[:_LONGEST_NAME], failure.message[:_LONGEST_TEXT], failure.log[:_LONGEST_TEXT])
        for failure in result.failed[:_MOST_TESTS]
    )
    ran = tuple((name[:_LONGEST_NAME], max(0.0, seconds)) for name, seconds in result.ran[:_MOST_TESTS])
    skipped = tuple(name[:_LONGEST_NAME] for name in result.skipped[:_MOST_TESTS])
    tests = len(ran) + len({failure.test for failure in failed})
    return SessionResult(tests, ran, result.seconds, failed, skipped=skipped)
