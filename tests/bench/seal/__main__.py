"""How long sealing takes, beside the engine's own commit of the same container.

Each layer is sealed, committed, and written to nowhere in turns, in an order of its own for each round, out of a
container that runs. Each seal is a process of its own, whose memory is told.

How to read the table: one line for each layer.

``commit``, ``seal``, ``layer``
    Median seconds of the engine's commit; of sealing, with all that the engine does to take the layer; and of reading
    the changes and writing the layer alone.
``ratio``
    ``seal`` divided by ``commit``; ``best`` is that of the best rounds, which says more on a machine that others use.
``peak MB``
    The most memory that a sealing process had, with Python and the engine's SDK, in millions of bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import docker

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine import containers, images
from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.client import connect

#: Files and bytes of each, half of which repeat.
LAYERS = {"1 MB": (10, 100_000), "200 MB": (10_000, 20_000), "2 GB": (20, 100_000_000)}

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
    """Measure, and print."""
    options = _options()
    client = connect()
    base = images.find(client, options.image)
    if base is None:
        sys.exit(
            f"the bench cannot start: there is no image {options.image}; build the demo, or name another (--image)"
        )
    print(f"engine {client.version()['Version']}  cores {os.cpu_count()}  rounds {options.rounds}", flush=True)
    print(f"{'layer':8}{'commit':>9}{'seal':>9}{'layer':>9}{'ratio':>8}{'best':>8}{'peak MB':>9}")
    shuffle = random.Random(SEED).shuffle
    for name in options.only or LAYERS:
        with _container(client, base.id, *LAYERS[name]) as container:
            taken, peak = _measure(client, container, options.rounds, shuffle)
        commit, seal, layer = (statistics.median(taken[each]) for each in ("commit", "seal", "layer"))
        best = min(taken["seal"]) / min(taken["commit"])
        print(
            f"{name:8}{commit:9.2f}{seal:9.2f}{layer:9.2f}{seal / commit:8.2f}{best:8.2f}{peak / 1e6:9.0f}", flush=True
        )


def _measure(
    client: docker.DockerClient, container: str, rounds: int, shuffle: Callable[[list[Any]], None]
) -> tuple[dict[str, list[float]], int]:
    taken: dict[str, list[float]] = defaultdict(list)
    peak = 0
    contenders = ["commit", "seal", "layer"]
    for _round in range(rounds):
        shuffle(contenders)
        for each in contenders:
            client.api.start(container)
            if each == "commit":
                taken[each].append(_commit(client, container))
            else:
                told = _seal(container, *(["layer"] if each == "layer" else []))
                taken[each].append(told["seconds"])
                peak = max(peak, int(told["peak"]))
    return taken, peak


def _commit(client: docker.DockerClient, container: str) -> float:
    started = time.perf_counter()
    image = client.api.commit(container)["Id"]
    seconds = time.perf_counter() - started
    images.remove(client, image)
    return seconds


def _seal(container: str, *how: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.seal.one", container, *how], check=True, stdout=subprocess.PIPE, text=True
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told


@contextmanager
def _container(client: docker.DockerClient, image: str, count: int, size: int) -> Iterator[str]:
    made = client.containers.run(image, ["sleep", "3600"], entrypoint="", user="0:0", detach=True)
    try:
        code, told = made.exec_run(["sh", "-c", _WRITE.format(count=count, size=size)])
        if code != 0:
            sys.exit(f"the bench cannot write its files: {told.decode(errors='replace')}")
        yield made.id
    finally:
        containers.remove(client, made.id)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox --session bench -- seal", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each is done (default 5)")
    parser.add_argument("--only", action="append", choices=LAYERS, help="this layer; may be repeated")
    parser.add_argument("--image", default="base:latest", help="what the containers are started from")
    return parser.parse_args()


if __name__ == "__main__":
    main()
