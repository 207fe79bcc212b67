"""One measured ``ansible-playbook``: seconds and memory."""

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
_LONGEST = 900  # seconds
_BETWEEN = 0.1  # seconds between two looks at the memory


class RunError(Exception):
    """A run failed, or did not do what is to be measured; the message is what it printed."""


@dataclass(frozen=True)
class Run:
    """One run that went well."""

    #: Seconds from start to end.
    wall: float
    #: Seconds that processors worked for it, all its processes together.
    work: float
    #: Most megabytes of all its processes together; a page that several share counts once.
    memory: float
    output: str


def run(*arguments: str | Path, folder: Path, settings: dict[str, str]) -> Run:
    """Run ``ansible-playbook`` of this environment in ``folder``.

    Args:
        arguments: Its arguments.
        folder: Where it runs; an ``ansible.cfg`` there counts.
        settings: Variables of its environment, besides those of this process that say nothing to Ansible or Python.

    Raises:
        RunError: It failed.
    """
    theirs = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
    own = {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_NOCOLOR": "true"}
    with tempfile.TemporaryFile("w+") as output:
        started, worked = time.monotonic(), _worked()
        process = subprocess.Popen(
            [Path(sys.executable).with_name("ansible-playbook"), *arguments],
            cwd=folder,
            env={**theirs, **own, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        watch = _Watch(process.pid)
        watch.start()
        try:
            code = process.wait(_LONGEST)
        finally:
            process.kill()
            watch.end()
        wall = time.monotonic() - started
        output.seek(0)
        told = output.read().strip()
    if code != 0:
        raise RunError(told)
    return Run(wall, _worked() - worked, watch.most / 1000, told)


def _worked() -> float:
    """Seconds that processors worked for processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Watch(threading.Thread):
    """Looks at the memory of a process and its descendants until it is ended."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._ended = threading.Event()
        #: Kilobytes.
        self.most = 0

    def run(self) -> None:
        while not self._ended.wait(_BETWEEN):
            self.most = max(self.most, sum(map(_memory, _family(self._process))))

    def end(self) -> None:
        self._ended.set()
        self.join()


def _family(process: int) -> Iterator[int]:
    """A process and its descendants; those that end meanwhile are left out."""
    yield process
    with contextlib.suppress(OSError):
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            for child in children.read_text().split():
                yield from _family(int(child))


def _memory(process: int) -> int:
    """A process's share of the memory that it uses (``Pss``), in kilobytes; see ``proc_pid_smaps(5)``."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
