"""How long ``tierwright tree`` takes with many images on the engine.

A family of small images is loaded: as many tiers as asked for, ten levels, each with one layer of its own. Then
the command runs, each time as a process of its own, and the images are removed:

``cold``
    Nothing was read before: the engine is asked for each image's layers and history.
``warm``
    Only the list of images is asked for anew.

Seconds are the whole process, with Python's own start; MB are its largest resident memory. The target is 2 s and 200 MB
with 1,000 images. The bench prints and fails nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from made_images import config, docker_save, layer, ours
from measured import MEASURED
from sdk_client import sdk_client

#: Number of parents that a tier has below it, at most.
_LEVELS = 10
_NAME = "twbench-tree"


def main() -> None:
    """Load the images, measure, print, and remove them."""
    parser = argparse.ArgumentParser(description="How long `tierwright tree` takes.")
    parser.add_argument("--images", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    options = parser.parse_args()
    client = sdk_client()
    try:
        for saved in _archives(options.images):
            client.images.load(saved)
        _measure(options.rounds)
    finally:
        for image in client.images.list(f"{_NAME}/*"):
            for tag in image.tags:
                client.images.remove(tag, force=True)
        client.close()


def _archives(count: int) -> Iterator[bytes]:
    """Archives of a hundred images each; level upon level, so that a tier's parent is there before it."""
    layers = [layer((f"tier{number}", b"%d" % number)) for number in range(count)]
    chains: list[list[int]] = []
    for number in range(count):
        parent = chains[(number - 1) // 3] if number else []
        chains.append([*(parent if len(parent) < _LEVELS else parent[: _LEVELS - 1]), number])
    for start in range(0, count, 100):
        images = {}
        for chain in chains[start : start + 100]:
            steps = [ours(f"tier{number}", "operations") for number in chain]
            own = [layers[number] for number in chain]
            labels = {"io.tierwright.tier": f"tier{chain[-1]}"}
            images[f"{_NAME}/tier{chain[-1]}:latest"] = (config(own, steps, Labels=labels), own)
        yield layer(*docker_save(images).items())


def _measure(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="tierwright-bench-") as folder:
        print(f"{'':8}{'images':>8}{'median s':>10}{'min s':>8}{'max s':>8}{'MB':>6}")
        for name in ("cold", "warm"):
            times, memory = [], 0
            for round_ in range(rounds):
                cache = Path(folder, f"{round_ if name == 'cold' else 0}")
                seconds, kilobytes, count = _tree(cache)
                times.append(seconds)
                memory = max(memory, kilobytes)
            middle = statistics.median(times)
            print(
                f"{name:8}{count:8}{middle:10.2f}{min(times):8.2f}{max(times):8.2f}{memory * 1024 / 1e6:6.0f}",
                flush=True,
            )


def _tree(cache: Path) -> tuple[float, int, int]:
    """Seconds, kilobytes at most, and images shown."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    start = time.monotonic()
    command = [*MEASURED, Path(sys.executable).parent / "tierwright", "tree", "--json"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.monotonic() - start, int(done.stderr), len(json.loads(done.stdout)["images"])


if __name__ == "__main__":
    main()
