"""Engines for single tests. They can be killed, and can have a small disk."""

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
    """Return the first true value of a condition; fail if there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"the condition is not true after {seconds} s")


def runs(engine: docker.DockerClient, words: str, *labels: str) -> bool:
    """Whether a container with all of these labels runs a process with these words in its command line."""
    with contextlib.suppress(docker.errors.APIError):  # containers start and end in the meantime
        containers = engine.containers.list(filters={"label": list(labels)}, ignore_removed=True)
        return words in str([container.top() for container in containers])
    return False


class SecondEngine:
    """A second engine, in a folder. `disk` limits the size of its disk, for example `600m`.

    It is an engine of the kind that this test session runs with (`--engine`).
    """

    def __init__(self, folder: Path, disk: str = "") -> None:
        self._folder = folder
        self._data = folder / "data"
        self._data.mkdir()
        self.address = f"unix://{folder}/docker.sock"
        # It has a network namespace: an engine without a bridge removes an existing one, even that of another engine.
        unshare = ["unshare", "--net"]
        if disk:
            mount = f'mount -t tmpfs -o size={disk} none {self._data} && exec "$0" "$@"'
            unshare += ["--mount", "sh", "-c", mount]
        command = [
            *("dockerd", "--data-root", str(self._data), "--exec-root", f"{folder}/exec"),
            *("--host", self.address, "--pidfile", f"{folder}/pid"),
            *("--bridge", "none", "--iptables=false", "--ip6tables=false"),
        ]
        name = os.environ.get(machine.VARIABLE)
        self._command = [*unshare, *(machine.within(CHOICES[name], folder, command) if name else command)]
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
        """Kill it, and wait for the end of its containerd. Otherwise, the next engine would use the old containerd."""
        self.client.close()
        self.process.kill()
        self.process.wait()
        containerd = self._folder / "exec/containerd/containerd.pid"
        process = Path("/proc", containerd.read_text().strip() if containerd.exists() else "none")
        wait_for(lambda: not process.exists())

    def free(self) -> int:
        """Free bytes on its disk."""
        status = os.statvfs(f"/proc/{self.process.pid}/root{self._data}")
        return status.f_bavail * status.f_frsize

    def clear(self) -> None:
        """Kill it, and remove what a killed engine leaves behind: containers, their shims, and their mounts."""
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
        pids = []
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if f"{self._folder}/exec" in process.read_text() and "shim" in process.read_text():
                    pids.append(int(process.parent.name))
        return pids
