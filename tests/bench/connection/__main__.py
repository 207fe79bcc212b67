"""Measures the time of a task through this connection plugin, and through others.

Every contender runs the same task lists: tasks of ``ansible.builtin.command`` and of ``ansible.builtin.copy``. Each
list runs in a new ``ansible-playbook``, in a container that exists for the whole bench. Each round runs every contender
once, in a different order, so that other load on the machine affects all contenders.

The output has one table for each list, with one line for each contender.

``median``, ``min``, ``max``
    Milliseconds per task over the rounds: the time from the start of the first task to the end of the last one, divided
    by their number. The start of Ansible is not included.
``first``
    Median of the first task alone, including the first connection to the host.
``process s``
    Median of the whole process, in seconds.
``tier``, ``tier-tcp``
    The median of this plugin, with the socket of the engine and with an engine at tcp://, divided by the median of the
    line. 0.20 means that the plugin takes a fifth of the time.

For this plugin, Ansible is prepared as in a build: it loads the plugin before the first task, keeps the archives of its
modules from one round to the next, and collects garbage less often.

``controller-floor`` is the same number of ``debug`` tasks, which reach no host: no connection can be faster. The
targets follow. ``by min`` compares the best rounds. If the machine has other load, so that ``max`` is far above
``min``, it is more reliable than the medians. The bench prints figures and never fails.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import random
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError

from . import report
from .containers import Containers
from .contenders import CONTENDERS, WORK, Contender, missing
from .runner import RunError, Runner

#: The order within each round is the same in every bench.
SEED = 3
_ERROR_LINES = 25


def main() -> None:
    """Measure, and print the tables."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # also removes the containers then
    contenders = [contender for contender in CONTENDERS if not options.only or contender.name in options.only]
    measured = report.Measured()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tierwright-bench-")))
        try:
            containers = Containers(options.image, stack)
        except EngineError as error:
            sys.exit(f"the bench cannot start: {error}")
        about = _about(containers, options)
        print("  ".join(f"{key} {value}" for key, value in about.items()), flush=True)
        for contender in contenders:
            if reason := missing(contender, relay=containers.relay):
                measured.left_out[contender.name] = reason
        try:
            _measure(Runner(folder, containers, options.tasks), contenders, measured, options.rounds)
        except KeyboardInterrupt:
            print("interrupted; the measurements so far:")
    names = [contender.name for contender in contenders]
    for name in WORK:
        print(f"\n{report.table(measured, name, names)}")
    print(f"\n{report.targets(measured)}")
    if options.json:
        options.json.write_text(json.dumps({"about": about, **report.as_data(measured)}, indent=1) + "\n")


def _measure(runner: Runner, contenders: list[Contender], measured: report.Measured, rounds: int) -> None:
    """Run every contender once in each round, even if it failed in an earlier round."""
    shuffle = random.Random(SEED).shuffle
    pairs = [
        (contender, name)
        for contender in contenders
        if contender.name not in measured.left_out
        for name in contender.lists
    ]
    for round_ in range(1, rounds + 1):
        shuffle(pairs)
        for contender, name in pairs:
            prefix = f"round {round_}/{rounds}  {name:8}{contender.name:26}"
            try:
                run = runner.measure(contender, name, round_)
            except (RunError, EngineError) as error:
                measured.failures.setdefault((contender.name, name), []).append(round_)
                print(f"{prefix} failed:\n{_last_lines(str(error))}", flush=True)
            else:
                measured.runs.append(run)
                print(f"{prefix}{run.per_task:7.1f} ms/task {run.wall:7.1f} s", flush=True)


def _last_lines(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()[-_ERROR_LINES:])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox --session bench -- connection",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [contender.name for contender in CONTENDERS]
    parser.add_argument(
        "--rounds", type=int, default=5, help="number of runs of each list by each contender (default 5)"
    )
    parser.add_argument("--tasks", type=int, default=30, help="number of tasks in a list (default 30)")
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="NAME",
        help=f"run only this contender; can be repeated: {', '.join(names)}",
    )
    parser.add_argument("--image", default="base:latest", help="image of the containers (default base:latest)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements to FILE")
    return parser.parse_args()


def _about(containers: Containers, options: argparse.Namespace) -> dict[str, str]:
    """The conditions of the measurements."""
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in ("ansible-core", "ansible", "mitogen")},
        "engine": containers.client.version()["Version"],
        "cores": str(os.cpu_count()),
        "tasks": str(options.tasks),
        "rounds": str(options.rounds),
    }


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "none"


if __name__ == "__main__":
    sys.exit(main())
