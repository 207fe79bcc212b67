"""Measures the time and memory of a plan, for the demo chain and for a chain of 1,000 tiers.

``demo``
    The demo chain, built and up to date, against an empty play with the same inventory.
``large``
    A generated chain: 1,000 tiers in 10 levels, 100 children of one of them, 36 roles with 30 files and 30 variables
    each, variables of 12 teams, and a secret from a vault that all tiers have. First no image exists, then all images
    exist: the bench makes them without content, and removes them at the end. No tier is ever built.

The output has one line for each kind of run. Each round runs each kind once, in a different order, so that other load
on the machine affects all kinds. Seconds are those of the whole ``ansible-playbook``, including its start. ``work s``
is processor time, which depends little on other load. ``MB`` is the maximum memory of all processes together in any
run; shared pages count once. The targets follow, compared with the medians. The bench prints figures and never fails.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

from . import generated, report
from .runner import ROOT, RunError, run

#: The order within each round is the same in every bench.
SEED = 3

_EMPTY = "- name: Nothing\n  hosts: all\n  gather_facts: false\n"
_PRETEND = """
- name: Pretend that everything was built
  hosts: all
  gather_facts: false
  tasks:
    - name: Make the images
      bench_pretend:
      run_once: true
"""
_ACTIONS = Path(__file__).parent / "action_plugins"
_BUILD = "tierwright.chain.build_chain"
_BUILDS = re.compile(r"^\S+ +build  ", re.MULTILINE)


@dataclass(frozen=True)
class Kind:
    """One kind of run."""

    name: str
    folder: Path
    arguments: tuple[str, ...]
    #: Whether the plan builds tiers; ``None`` if there is no plan.
    builds: bool | None = None


def main() -> None:
    """Measure, and print the tables."""
    options = _options()
    runs: dict[str, list[report.Measured]] = {}
    with tempfile.TemporaryDirectory(prefix="tierwright-bench-") as name:
        folder = Path(name)
        (folder / "empty.yml").write_text(_EMPTY)
        try:
            about = _about(options.rounds)
            print("  ".join(f"{key} {value}" for key, value in about.items()), flush=True)
            _measure(folder, options, runs)
        except (EngineError, RunError) as error:
            print(f"the bench ends here:\n{error}")
        except KeyboardInterrupt:
            print("interrupted; the measurements so far:")
    print(f"\n{report.table(runs)}\n\n{report.targets(runs)}")
    if options.json:
        measurements = {name: [asdict(measurement) for measurement in measured] for name, measured in runs.items()}
        options.json.write_text(json.dumps({"about": about, "runs": measurements}, indent=1) + "\n")


def _measure(folder: Path, options: argparse.Namespace, runs: dict[str, list[report.Measured]]) -> None:
    empty = str(folder / "empty.yml")
    if options.only != "large":
        kinds = (
            Kind(report.DEMO_EMPTY, ROOT, (empty,)),
            Kind(report.DEMO_KEPT, ROOT, ("build-chain.yml",), builds=False),
        )
        _rounds(kinds, options.rounds, runs)
    if options.only != "demo":
        large = folder / "large"
        generated.write(large)
        (large / "pretend.yml").write_text(_PRETEND)
        # The setting applies to all runs, because folders of plugins are part of each build key.
        with (large / "ansible.cfg").open("a") as settings:
            settings.write(f"action_plugins = {shutil.copytree(_ACTIONS, large / 'actions')}\n")
        _remove_images()
        try:
            kinds = (
                Kind(report.LARGE_EMPTY, large, (empty,)),
                Kind(report.LARGE_NEW, large, (_BUILD, "--check"), builds=True),
            )
            _rounds(kinds, options.rounds, runs)
            print("making the images", flush=True)
            run("pretend.yml", folder=large, settings={})
            kinds = (
                Kind(report.LARGE_CHECK, large, (_BUILD, "--check"), builds=False),
                Kind(report.LARGE_KEPT, large, (_BUILD,), builds=False),
            )
            _rounds(kinds, options.rounds, runs)
        finally:
            _remove_images()


def _rounds(kinds: Sequence[Kind], rounds: int, runs: dict[str, list[report.Measured]]) -> None:
    shuffle = random.Random(SEED).shuffle
    runs.update({kind.name: [] for kind in kinds})
    order = list(kinds)
    for round_ in range(1, rounds + 1):
        shuffle(order)
        for kind in order:
            result = run(*kind.arguments, folder=kind.folder, settings={})
            if kind.builds is not None and bool(_BUILDS.search(result.output)) is not kind.builds:
                raise RunError(f"{kind.name}: unexpected plan; is the chain built?\n{result.output}")
            runs[kind.name].append(report.Measured(result.wall, result.work, result.memory))
            print(f"round {round_}/{rounds}  {kind.name:32}{result.wall:7.1f} s {result.memory:5.0f} MB", flush=True)


def _remove_images() -> None:
    """Remove the images of the large chain, including those of a killed bench."""
    engine = connect()
    for image_id in engine.images.labelled(f"{labels.CHAIN}={generated.CHAIN}"):
        image = engine.images.find(image_id)
        for tag in image.tags if image else ():
            engine.images.remove(tag)


def _about(rounds: int) -> dict[str, str]:
    """The conditions of the measurements."""
    return {
        "python": platform.python_version(),
        "ansible-core": version("ansible-core"),
        "engine": connect().system.version(),
        "cores": str(os.cpu_count()),
        "rounds": str(rounds),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox --session bench -- plan",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="number of runs of each kind (default 5)")
    parser.add_argument("--only", choices=("demo", "large"), help="measure only this chain")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements to FILE")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
