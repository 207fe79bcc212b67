# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The first program of a sandbox: runs pytest on the tests of another team, and sends the results to the broker.

The tests run in this process, so they can send everything that this program can send. The broker expects that.
"""

from __future__ import annotations

import dataclasses
import io
import os
import signal
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from .. import fixtures
from ..session_result import SessionResult
from . import messages
from .remote_containers import BrokerLink, RemoteContainers

#: Folders on the only file system that the sandbox can write to.
_TESTS = Path("/tmp/tests")  # noqa: S108 - a private file system
_OUTPUT = Path("/tmp/output")  # noqa: S108 - a private file system
#: The whole environment of the tests.
_ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108 - a private file system
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
#: Number of lines of pytest's output that are sent, if it ended before it ran tests.
_LINES = 20
_PLUGIN = f"{__package__.removesuffix('.inside')}.pytest_plugin"


class _Foreign:
    """Settings of a session in a sandbox."""

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip tests that need outside networks: the containers of a sandbox have none."""
        if item.get_closest_marker("network") is not None:
            pytest.skip("a contract of another team cannot reach outside networks")


def main(stdin: io.BufferedReader, options: list[str]) -> NoReturn:
    """Run the tests, and end the process.

    Args:
        stdin: After the program, the archive of the tests with its length before it, and then messages of the broker.
        options: Options of pytest.
    """
    os.environ.clear()
    os.environ.update(_ENVIRONMENT)
    size = int.from_bytes(stdin.read(8), "big")
    with zipfile.ZipFile(io.BytesIO(stdin.read(size))) as archive:
        archive.extractall(_TESTS)
    link = BrokerLink(_take_stdout())
    threading.Thread(target=_receive, args=(stdin, link), daemon=True).start()
    os.chdir(_TESTS)
    status = int(
        pytest.main(
            [
                *("--color=no", "--import-mode=importlib", f"--rootdir={_TESTS}", "-c", os.devnull),
                *("-p", "no:cacheprovider", "-p", "pytest_timeout", "-p", "testinfra.plugin", "-p", _PLUGIN),
                *options,
                str(_TESTS),
            ],
            plugins=[_Foreign(), _Opener(link), fixtures.ResultRecorder(lambda result: _send_result(link, result))],
        )
    )
    sys.stdout.flush()
    lines = _OUTPUT.read_text(errors="replace").splitlines()[-_LINES:]
    link.send(messages.END, {"status": status, "output": "\n".join(lines)})
    os._exit(0)  # threads of the tests do not delay the end


class _Opener:
    """Gives the fixtures the containers of the broker."""

    def __init__(self, link: BrokerLink) -> None:
        self._link = link

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[fixtures.open_key] = lambda _config, _online: RemoteContainers(self._link)


def _send_result(link: BrokerLink, result: SessionResult) -> None:
    link.send(messages.RESULT, dataclasses.asdict(result))


def _take_stdout() -> Callable[[bytes], None]:
    """Keep standard output for messages, and send what the tests print into a file."""
    kept = os.dup(1)
    output = os.open(_OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    stream = open(kept, "wb", buffering=0)  # noqa: SIM115, PTH123 - until the process ends

    def write(content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[stream.write(rest) :]

    return write


def _receive(stdin: io.BufferedReader, link: BrokerLink) -> None:
    def take(channel: int, kind: int, message: bytes) -> None:
        if kind == messages.INTERRUPT:
            os.kill(os.getpid(), signal.SIGINT)
        else:
            link.take(channel, kind, message)

    received = messages.Messages(take, messages.SANDBOX_LIMIT)
    while chunk := stdin.read1(1 << 16):
        received.feed(chunk)
    os._exit(1)  # the broker has ended
