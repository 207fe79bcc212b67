"""Measures how long ``tierwright tree`` takes with many images on the engine.

The bench loads small images: tiers in ten levels, each with one new layer. Then it runs the command several times, each
time as a new process, and removes the images:

``cold``
    The cache is empty. The command requests the layers and the history of each image.
``warm``
    The command requests only the list of images.

Seconds are those of the whole process, including the start of Python. MB is its maximum resident memory. The target is
2 s and 200 MB with 1,000 images. The bench prints figures and never fails.
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

from made_images import config, docker_save, layer, tier_step
from measured import MEASURED
from sdk_client import sdk_client

#: Maximum number of layers of an image.
_LEVELS = 10
_NAME = "twbench-tree"


def main() -> None:
    """Load the images, measure, print the table, and remove the images."""
    parser = argparse.ArgumentParser(description="Measures how long `tierwright tree` takes.")
    parser.add_argument("--images", type=int, default=1000, help="number of images (default 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="number of measurements (default 5)")
    options = parser.parse_args()
    client = sdk_client()
    try:
        for archive in _archives(options.images):
            client.images.load(archive)
        _measure(options.rounds)
    finally:
        for image in client.images.list(f"{_NAME}/*"):
            for tag in image.tags:
                client.images.remove(tag, force=True)
        client.close()


def _archives(count: int) -> Iterator[bytes]:
    """Archives of a hundred images each, ordered by level, so that parents are loaded before their children."""
    layers = [layer((f"tier{number}", b"%d" % number)) for number in range(count)]
    chains: list[list[int]] = []
    for number in range(count):
        parent = chains[(number - 1) // 3] if number else []
        chains.append([*(parent if len(parent) < _LEVELS else parent[: _LEVELS - 1]), number])
    for start in range(0, count, 100):
        images = {}
        for chain in chains[start : start + 100]:
            steps = [tier_step(f"tier{number}", "operations") for number in chain]
            image_layers = [layers[number] for number in chain]
            labels = {"io.tierwright.tier": f"tier{chain[-1]}"}
            images[f"{_NAME}/tier{chain[-1]}:latest"] = (config(image_layers, steps, Labels=labels), image_layers)
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
            median = statistics.median(times)
            print(
                f"{name:8}{count:8}{median:10.2f}{min(times):8.2f}{max(times):8.2f}{memory * 1024 / 1e6:6.0f}",
                flush=True,
            )


def _tree(cache: Path) -> tuple[float, int, int]:
    """Seconds, peak memory in kilobytes, and number of shown images."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    start = time.monotonic()
    command = [*MEASURED, Path(sys.executable).parent / "tierwright", "tree", "--json"]
    process = subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.monotonic() - start, int(process.stderr), len(json.loads(process.stdout)["images"])


if __name__ == "__main__":
    main()
