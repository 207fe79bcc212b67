"""Measures how layers should be sent to a registry, and how long a publication takes.

``encoders``
    Encodes the layers of the demo's WordPress, with and without compression. Then a fresh engine pulls each encoding
    from a registry on this machine, several times, in a different order each time. Nothing is compressed in ``none``.
``runs``
    Publishes the demo chain to a registry on this machine: a first time, with nothing changed, and with another last
    layer of the usual size. Seconds are those of the whole ``ansible-playbook``.

``MB``
    Size of all layers, in millions of bytes.
``encode s``, ``CPU s``
    Seconds to encode them, by the clock, and of processor time. The latter is more reliable if the machine has other
    load.
``pull s``
    Median seconds that an engine needs to pull them; ``best`` are those of the fastest pull.

Each engine runs on a separate machine, as in ``tests/engines``. The bench prints figures and never fails.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from sdk_client import as_engine, sdk_client

from . import encoders, pulls, runs


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description="Measures encodings of layers, and publications.")
    commands = parser.add_subparsers(dest="part", required=True)
    for name in ("encoders", "runs"):
        part = commands.add_parser(name)
        part.add_argument("--rounds", type=int, default=3, help="number of measurements (default 3)")
        if name == "encoders":
            part.add_argument("--image", default="wordpress:latest", help="image to encode (default wordpress:latest)")
            part.add_argument("--engine", action="append", help="engine that pulls (default: docker-20 and podman-5)")
    inside = commands.add_parser("pull")  # on the machine of an engine
    inside.add_argument("folder", type=Path)
    inside.add_argument("rounds", type=int)
    options = parser.parse_args()
    if options.part == "pull":
        print(json.dumps(pulls.measure(options.folder, options.rounds)))
        return
    print(f"cores {os.cpu_count()}  load {os.getloadavg()[0]:.1f}  rounds {options.rounds}", flush=True)
    client = sdk_client()
    try:
        with tempfile.TemporaryDirectory(prefix="tierwright-bench-", dir="/var/tmp") as folder:
            if options.part == "runs":
                runs.measure(client, Path(folder), options.rounds)
                return
            encoders.measure(as_engine(client), options.image, Path(folder))
            for engine in options.engine or ("docker-20", "podman-5"):
                pulls.show(engine, Path(folder), options.rounds)
    finally:
        client.close()


if __name__ == "__main__":
    main()
