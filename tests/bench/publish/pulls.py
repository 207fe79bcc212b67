"""Lets an engine on a separate machine pull images, which it does not have."""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from real_registry import docker_registry
from sdk_client import sdk_client

from .encoders import repository

_TESTS = Path(__file__).parents[2]
_SEED = 5


def measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Pull each encoding several times, each time in a different order. Return the seconds by encoder."""
    names = json.loads((folder / "encoders.json").read_text())
    seconds: dict[str, list[float]] = defaultdict(list)
    client, shuffle = sdk_client(), random.Random(_SEED).shuffle
    with docker_registry(folder) as host:
        for _round in range(rounds):
            shuffle(names)
            for name in names:
                start = time.monotonic()
                image = client.images.pull(f"{host}/{repository(name)}", tag="latest")
                seconds[name].append(time.monotonic() - start)
                client.images.remove(image.id, force=True)
                os.sync()
    client.close()
    return seconds


def show(engine: str, folder: Path, rounds: int) -> None:
    """Print the seconds of an engine of the catalogue."""
    words = [sys.executable, "-m", "bench.publish", "pull", str(folder), str(rounds)]
    process = subprocess.run(
        [sys.executable, "-m", "engines", "start", engine, *words],
        cwd=_TESTS.parent,
        env={**os.environ, "PYTHONPATH": str(_TESTS)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if process.returncode:
        print(f"{engine}: not measured")
        return
    print(f"{engine:14}{'pull s':>8}{'best':>8}   load {os.getloadavg()[0]:.1f}")
    for encoder, seconds in json.loads(process.stdout.splitlines()[-1]).items():
        print(f"{encoder:14}{statistics.median(seconds):8.1f}{min(seconds):8.1f}", flush=True)
