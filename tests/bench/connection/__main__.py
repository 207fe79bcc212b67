"""How much a task costs through this connection plugin, and through others.

Every contender runs the same task lists: tasks of ``ansible.builtin.command`` and of ``ansible.builtin.copy``, each
list in an ``ansible-playbook`` of its own against a container that lives as long as the bench. Each round runs every
contender once, in an order of its own, so that a machine that is busy for a while is busy for all.

How to read the output: one table for each list, one line for each contender.

``median``, ``min``, ``max``
    Milliseconds for a task: from the first task's start to the last one's end, divided by their number, over the
    rounds. Ansible's own start is not in it.
``first``
    Median of the first task alone, with what it takes to reach the host for the first time.
``process s``
    Median of the whole process, in seconds.
``tier``, ``tier-tcp``
    The median of this plugin, with the engine's socket and with an engine at tcp://, divided by the line's own:
    0.20 says that the plugin takes a fifth of the time.

``controller-floor`` is the same number of ``debug`` tasks, which reach no host: no connection can be faster. Then
come the targets. ``by min`` compares the best rounds: on a machine that others use too, where ``max`` is far above
``min``, it says more than the medians do. The bench prints and fails nothing.
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
from .containers import Ground
from .contenders import CONTENDERS, WORK, Contender, missing
from .runner import RunError, Runner

#: The order within each round is the same in every bench.
SEED = 3
_TOLD_LINES = 25


def main() -> None:
    """Measure, and print."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # containers are removed then too
    chosen = [each for each in CONTENDERS if not options.only or each.name in options.only]
    measured = report.Measured()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tierwright-bench-")))
        try:
            ground = Ground(options.image, stack)
        except EngineError as error:
            sys.exit(f"the bench cannot start: {error}")
        about = _about(ground, options)
        print("  ".join(f"{key} {value}" for key, value in about.items()), flush=True)
        for each in chosen:
            if reason := missing(each, relay=ground.relay):
                measured.left_out[each.name] = reason
        try:
            _measure(Runner(folder, ground, options.tasks), chosen, measured, options.rounds)
        except KeyboardInterrupt:
            print("interrupted; what was measured until then:")
    names = [each.name for each in chosen]
    for name in WORK:
        print(f"\n{report.table(measured, name, names)}")
    print(f"\n{report.targets(measured)}")
    if options.json:
        options.json.write_text(json.dumps({"about": about, **report.as_data(measured)}, indent=1) + "\n")


def _measure(runner: Runner, chosen: list[Contender], measured: report.Measured, rounds: int) -> None:
    """Run every contender once in each round; one that failed gets its turn in the next round too."""
    shuffle = random.Random(SEED).shuffle
    pairs = [(each, name) for each in chosen if each.name not in measured.left_out for name in each.lists]
    for round_ in range(1, rounds + 1):
        shuffle(pairs)
        for contender, name in pairs:
            told = f"round {round_}/{rounds}  {name:8}{contender.name:26}"
            try:
                run = runner.measure(contender, name, round_)
            except (RunError, EngineError) as error:
                measured.failures.setdefault((contender.name, name), []).append(round_)
                print(f"{told} failed:\n{_last_lines(str(error))}", flush=True)
            else:
                measured.runs.append(run)
                print(f"{told}{run.per_task:7.1f} ms/task {run.wall:7.1f} s", flush=True)


def _last_lines(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()[-_TOLD_LINES:])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox --session bench -- connection",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [each.name for each in CONTENDERS]
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender runs each list (default 5)")
    parser.add_argument("--tasks", type=int, default=30, help="tasks in a list (default 30)")
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="NAME",
        help=f"this contender; may be repeated: {', '.join(names)}",
    )
    parser.add_argument("--image", default="base:latest", help="image of the containers (default base:latest)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured to FILE")
    return parser.parse_args()


def _about(ground: Ground, options: argparse.Namespace) -> dict[str, str]:
    """What the numbers depend on."""
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in ("ansible-core", "ansible", "mitogen")},
        "engine": ground.client.version()["Version"],
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
