"""How long sealing takes, beside the engine's own commit of the same container.

Each layer is sealed, committed, written to nowhere, and loaded in turns, in an order of its own for each round, out of
a container that runs, and that has ended afterwards. Each is a process of its own, whose memory is told.

Nobody pays for what another did: a turn begins when the disk has all that was written before, and images are removed
at the end, since ext4 looks for new inodes slowly for minutes after many were freed (``recently_deleted`` in
``fs/ext4/ialloc.c``; it made three seconds eight). So each turn adds a file that tells it from the others, or engines
would take its layer for one that they have. Five rounds of the largest layer need 32 GB of disk.

How to read the table: one line for each layer.

``commit``, ``seal``
    Median seconds of the engine's commit; and of sealing, with all that the engine does to take the layer.
``layer``, ``load``
    What sealing consists of, each alone: reading the changes and writing the layer; and the engine's taking a layer
    that lies ready. Sealing does both at the same time where there are two cores.
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
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import docker

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.containers import START_MARKER
from sdk_client import as_engine, sdk_client

#: Files and bytes of each, half of which repeat.
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
    """Measure, and print."""
    options = _options()
    client = sdk_client()
    base = as_engine(client).images.find(options.image)
    if base is None:
        sys.exit(
            f"the bench cannot start: there is no image {options.image}; build the demo, or name another (--image)"
        )
    print(f"engine {client.version()['Version']}  cores {os.cpu_count()}  rounds {options.rounds}", flush=True)
    print(f"{'':8}{''.join(f'{each:>9}' for each in CONTENDERS)}{'ratio':>8}{'best':>8}{'peak MB':>9}")
    shuffle = random.Random(SEED).shuffle
    for name in options.only or LAYERS:
        with _container(client, base.id, *LAYERS[name]) as container:
            taken, peak = _measure(client, container, options.rounds, shuffle)
        middle = {each: statistics.median(taken[each]) for each in CONTENDERS}
        ratios = (of["seal"] / of["commit"] for of in (middle, {each: min(taken[each]) for each in CONTENDERS}))
        seconds = "".join(f"{middle[each]:9.2f}" for each in CONTENDERS)
        print(f"{name:8}{seconds}{''.join(f'{each:8.2f}' for each in ratios)}{peak / 1e6:9.0f}", flush=True)


def _measure(
    client: docker.DockerClient, container: str, rounds: int, shuffle: Callable[[list[Any]], None]
) -> tuple[dict[str, list[float]], int]:
    taken: dict[str, list[float]] = defaultdict(list)
    peak, made = 0, []
    order = list(CONTENDERS)
    try:
        for turn in range(rounds):
            shuffle(order)
            for each in order:
                client.api.start(container)
                _run(client, container, f"echo {turn} {each} > /srv/bench/turn")
                os.sync()
                told = _do(each, container)
                taken[each].append(told["seconds"])
                made += told["made"]
                if each == "seal":
                    peak = max(peak, told["peak"])
    finally:
        for image in made:
            as_engine(client).images.remove(image)
    return taken, peak


def _do(what: str, container: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.seal.one", container, what], check=True, stdout=subprocess.PIPE, text=True
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _run(client: docker.DockerClient, container: str, script: str) -> None:
    code, told = client.containers.get(container).exec_run(["sh", "-c", script])
    if code != 0:
        sys.exit(f"the bench cannot write its files: {told.decode(errors='replace')}")


@contextmanager
def _container(client: docker.DockerClient, image: str, count: int, size: int) -> Iterator[str]:
    # As build containers do, it says from when on what is written is a role's doing.
    words = ["sh", "-c", f": >{START_MARKER}; exec sleep 3600"]
    made = client.containers.run(image, words, entrypoint="", user="0:0", detach=True)
    try:
        _run(client, made.id, _WRITE.format(count=count, size=size))
        yield made.id
    finally:
        as_engine(client).containers.remove(made.id)


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
