"""Measures how long sealing takes, compared with the engine's own commit of the same container.

For each layer, the bench alternates between four operations on a running container, in a different order in each round:
seal, commit, write the layer to nowhere, and load it. The container has ended after each operation. Each operation is a
new process, whose memory is measured.

No operation affects the next one. It starts when all earlier data is on the disk. Images are removed only at the end,
because ext4 searches slowly for new inodes for minutes after many were freed (``recently_deleted`` in
``fs/ext4/ialloc.c``; three seconds became eight). So each operation first adds a unique file; otherwise, engines would
recognise the layer. Five rounds of the largest layer need 32 GB of disk.

The table has one line for each layer.

``commit``, ``seal``
    Median seconds of the engine's commit, and of sealing, including the work of the engine to load the layer.
``layer``, ``load``
    The two parts of sealing, each measured alone: to read the changes and write the layer, and to load a finished layer
    into the engine. With two cores, sealing does both at the same time.
``ratio``
    ``seal`` divided by ``commit``. ``best`` is the ratio of the best rounds. It is more reliable if the machine has
    other load.
``peak MB``
    The maximum memory of a sealing process, including Python and the engine's SDK, in millions of bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import docker

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.containers import START_MARKER
from sdk_client import as_engine, sdk_client

#: Number of files, and bytes of each file. Half of the bytes are zeros.
LAYERS = {"1 MB": (10, 100_000), "200 MB": (10_000, 20_000), "2 GB": (20, 100_000_000)}

CONTENDERS = ("commit", "seal", "layer", "load")

SEED = 5
_WRITE = """
mkdir -p /srv/bench; cd /srv/bench
head -c $(( {size} / 2 )) /dev/zero > zeros
i=0; while [ $i -lt {count} ]; do
    d=$(( i / 100 )); test -d $d || mkdir $d
    head -c $(( {size} / 2 )) /dev/urandom | cat - zeros > $d/$i; i=$(( i + 1 ))
done; rm zeros
"""


def main() -> None:
    """Measure, and print the table."""
    options = _options()
    client = sdk_client()
    base = as_engine(client).images.find(options.image)
    if base is None:
        sys.exit(f"the bench cannot start: there is no image {options.image}; build the demo chain, or use --image")
    print(f"engine {client.version()['Version']}  cores {os.cpu_count()}  rounds {options.rounds}", flush=True)
    print(f"{'':8}{''.join(f'{contender:>9}' for contender in CONTENDERS)}{'ratio':>8}{'best':>8}{'peak MB':>9}")
    shuffle = random.Random(SEED).shuffle
    for name in options.only or LAYERS:
        with _container(client, base.id, *LAYERS[name]) as container:
            times, peak = _measure(client, container, options.rounds, shuffle)
        medians = {contender: statistics.median(times[contender]) for contender in CONTENDERS}
        best = {contender: min(times[contender]) for contender in CONTENDERS}
        ratios = (numbers["seal"] / numbers["commit"] for numbers in (medians, best))
        seconds = "".join(f"{medians[contender]:9.2f}" for contender in CONTENDERS)
        print(f"{name:8}{seconds}{''.join(f'{ratio:8.2f}' for ratio in ratios)}{peak / 1e6:9.0f}", flush=True)


def _measure(
    client: docker.DockerClient, container: str, rounds: int, shuffle: Callable[[list[Any]], None]
) -> tuple[dict[str, list[float]], int]:
    times: dict[str, list[float]] = defaultdict(list)
    peak, images = 0, []
    order = list(CONTENDERS)
    try:
        for round_ in range(rounds):
            shuffle(order)
            for contender in order:
                client.api.start(container)
                _run(client, container, f"echo {round_} {contender} > /srv/bench/turn")
                os.sync()
                result = _do(contender, container)
                times[contender].append(result["seconds"])
                images += result["made"]
                if contender == "seal":
                    peak = max(peak, result["peak"])
    finally:
        for image in images:
            as_engine(client).images.remove(image)
    return times, peak


def _do(contender: str, container: str) -> dict[str, Any]:
    process = subprocess.run(
        [sys.executable, "-m", "bench.seal.one", container, contender], check=True, stdout=subprocess.PIPE, text=True
    )
    result: dict[str, Any] = json.loads(process.stdout)
    return result


def _run(client: docker.DockerClient, container: str, script: str) -> None:
    code, output = client.containers.get(container).exec_run(["sh", "-c", script])
    if code != 0:
        sys.exit(f"the bench cannot write its files: {output.decode(errors='replace')}")


@contextmanager
def _container(client: docker.DockerClient, image: str, count: int, size: int) -> Iterator[str]:
    # Like build containers, it marks the time from which written files count as the work of a role.
    command = ["sh", "-c", f": >{START_MARKER}; exec sleep 3600"]
    container = client.containers.run(image, command, entrypoint="", user="0:0", detach=True)
    try:
        _run(client, container.id, _WRITE.format(count=count, size=size))
        yield container.id
    finally:
        as_engine(client).containers.remove(container.id)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox --session bench -- seal", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="number of measurements (default 5)")
    parser.add_argument("--only", action="append", choices=LAYERS, help="measure only this layer; can be repeated")
    parser.add_argument("--image", default="base:latest", help="image of the containers (default base:latest)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
