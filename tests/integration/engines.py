"""Engines of a test's own, which may be killed, and whose disk may be small."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import docker.errors

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineUnavailableError
from engines import machine
from engines.catalogue import CHOICES
from sdk_client import sdk_client


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def runs(engine: docker.DockerClient, words: str, *labels: str) -> bool:
    """Whether a process with these words in its command line runs in a container that has all of these labels."""
    with contextlib.suppress(docker.errors.APIError):  # containers come and go meanwhile
        found = engine.containers.list(filters={"label": list(labels)}, ignore_removed=True)
        return words in str([each.top() for each in found])
    return False


class SecondEngine:
    """A Docker engine of the test's own, in a folder; `disk` is the size of its disk, `600m`, if it must be small.

    It is such an engine as all tests run with (`--engine`).
    """

    def __init__(self, folder: Path, disk: str = "") -> None:
        self._folder = folder
        self._data = folder / "data"
        self._data.mkdir()
        self.address = f"unix://{folder}/docker.sock"
        # A network of its own: without a bridge, an engine removes the one that is there, though it be another's.
        alone = ["unshare", "--net"]
        if disk:
            mount = f'mount -t tmpfs -o size={disk} none {self._data} && exec "$0" "$@"'
            alone += ["--mount", "sh", "-c", mount]
        command = [
            *("dockerd", "--data-root", str(self._data), "--exec-root", f"{folder}/exec"),
            *("--host", self.address, "--pidfile", f"{folder}/pid"),
            *("--bridge", "none", "--iptables=false", "--ip6tables=false"),
        ]
        name = os.environ.get(machine.VARIABLE)
        self._command = [*alone, *(machine.within(CHOICES[name], folder, command) if name else command)]
        self._log = folder / "log"
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        self.client = wait_for(self._connect)

    def _connect(self) -> docker.DockerClient | None:
        try:
            return sdk_client(self.address)
        except EngineUnavailableError:
            assert self.process.poll() is None, self._log.read_text()[-2000:]
            return None

    def kill(self) -> None:
        """Kill it, and wait for its containerd to end as well: another one would take that for its own."""
        self.client.close()
        self.process.kill()
        self.process.wait()
        containerd = self._folder / "exec/containerd/containerd.pid"
        process = Path("/proc", containerd.read_text().strip() if containerd.exists() else "none")
        wait_for(lambda: not process.exists())

    def free(self) -> int:
        """Bytes that are free on its disk."""
        told = os.statvfs(f"/proc/{self.process.pid}/root{self._data}")
        return told.f_bavail * told.f_frsize

    def clear(self) -> None:
        """Kill it, and end what a killed engine leaves: its containers, what holds them, and their mounts."""
        self.kill()
        for shim in self._shims():
            children = Path(f"/proc/{shim}/task/{shim}/children").read_text().split()
            for pid in (shim, *map(int, children)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in sorted((mount for mount in mounts if mount.startswith(str(self._folder))), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=True)

    def _shims(self) -> list[int]:
        found = []
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if f"{self._folder}/exec" in process.read_text() and "shim" in process.read_text():
                    found.append(int(process.parent.name))
        return found
