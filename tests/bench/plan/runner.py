"""Runs ``ansible-playbook``, and measures its time and memory."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
_TIMEOUT = 900  # seconds
_INTERVAL = 0.1  # seconds between two measurements of the memory


class RunError(Exception):
    """A run failed, or was not the run to be measured. The message contains its output."""


@dataclass(frozen=True)
class Run:
    """A successful run."""

    #: Seconds from start to end.
    wall: float
    #: Seconds of processor time of all its processes together.
    work: float
    #: Maximum megabytes of all its processes together. Shared pages count once.
    memory: float
    output: str


def run(*arguments: str | Path, folder: Path, settings: dict[str, str], timeout: float = _TIMEOUT) -> Run:
    """Run ``ansible-playbook`` of this environment in ``folder``.

    Args:
        arguments: Its arguments.
        folder: The working folder. An ``ansible.cfg`` in it is used.
        settings: Environment variables, in addition to those of this process that are not for Ansible or Python.
        timeout: Seconds that it may take.

    Raises:
        RunError: It failed.
    """
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
    required = {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_NOCOLOR": "true"}
    with tempfile.TemporaryFile("w+") as output:
        start, work_before = time.monotonic(), _processor_time()
        process = subprocess.Popen(
            [Path(sys.executable).with_name("ansible-playbook"), *arguments],
            cwd=folder,
            env={**inherited, **required, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        monitor = _MemoryMonitor(process.pid)
        monitor.start()
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
            monitor.end()
        wall = time.monotonic() - start
        output.seek(0)
        text = output.read().strip()
    if code != 0:
        raise RunError(text)
    return Run(wall, _processor_time() - work_before, monitor.peak / 1000, text)


def _processor_time() -> float:
    """Seconds of processor time of all ended child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _MemoryMonitor(threading.Thread):
    """Measures the memory of a process and its descendants until `end` is called."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._ended = threading.Event()
        #: Kilobytes.
        self.peak = 0

    def run(self) -> None:
        while not self._ended.wait(_INTERVAL):
            self.peak = max(self.peak, sum(map(_memory, _process_tree(self._process))))

    def end(self) -> None:
        self._ended.set()
        self.join()


def _process_tree(process: int) -> Iterator[int]:
    """A process and its descendants, without those that end in the meantime."""
    yield process
    with contextlib.suppress(OSError):
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            for child in children.read_text().split():
                yield from _process_tree(int(child))


def _memory(process: int) -> int:
    """The proportional memory of a process (``Pss``) in kilobytes; see ``proc_pid_smaps(5)``."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
