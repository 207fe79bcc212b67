"""Watches what other users of a machine can see of a run: for tests that search it for secrets."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Self

import docker


class ProcessWatch:
    """Collects the command lines and environments of all other processes, and the settings of all build containers."""

    def __init__(self, engine: docker.DockerClient) -> None:
        self._engine, self._done = engine, threading.Event()
        self.seen: set[bytes] = set()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._done.wait(0.02):
            for pattern in ("[0-9]*/cmdline", "[0-9]*/environ"):
                for path in Path("/proc").glob(pattern):
                    if path.parent.name == str(os.getpid()):
                        continue
                    try:
                        self.seen.add(path.read_bytes())
                    except OSError:
                        continue
            for container in self._engine.api.containers(filters={"label": "io.tierwright.run"}):
                try:
                    self.seen.add(json.dumps(self._engine.api.inspect_container(container["Id"])).encode())
                except Exception:  # noqa: BLE001 - it has ended
                    continue

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        self._thread.join()
