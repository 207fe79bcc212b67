"""Compares how long the demo chain takes to build, with Tierwright and with other builders.

All contenders build the tiers corebuild, httpd-php, mariadb, haproxy and wordpress, siblings in parallel, on the same
base. The base itself is not measured. The Dockerfiles do what the roles do: they install the same packages, and render
their configuration with sed. ``--compare`` compares the content of the images; content.py lists the paths that may
differ. Dockerfiles have no tests, so ``tierwright`` builds roles without theirs. ``tierwright, tested`` runs them all.

Each round runs all contenders once, in a different order. A contender first builds everything (``cold``). Then it
builds again after nothing has changed, and after a line has been added to a file of wordpress, of httpd-php, and of
corebuild.

The output shows seconds: median, minimum and maximum over the rounds. The bench removes everything that it makes,
except what BuildKit and the package caches keep. It prints figures, and never fails because of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pictures

from . import content, report, twins
from .buildah import Buildah
from .commands import BuildError, run
from .contenders import Bare, BuildKit, Classic, Contender
from .scenarios import SCENARIOS, measure
from .tierwright import Empty, Tested, Tierwright, remove_base

CONTENDERS: tuple[type[Contender], ...] = (Tierwright, Tested, Classic, BuildKit, Buildah, Bare, Empty)
_SHOWN = 20


def main() -> None:
    """Measure, and print the table."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # also removes the images then
    measured = _read(options.json, options.chain)
    parents = twins.CHAINS[options.chain]
    with tempfile.TemporaryDirectory(prefix="tierwright-bench-") as name:
        chosen = [
            kind(parents, Path(name, kind.name.replace(", ", "-").replace(" ", "-")))
            for kind in CONTENDERS
            if not options.only or kind.name in options.only
        ]
        started: list[Contender] = []
        try:
            for contender in chosen:
                if reason := contender.missing():
                    measured["left_out"][contender.name] = reason
                    print(f"{contender.name} cannot run here: {reason}", flush=True)
                    continue
                started.append(contender)
                if not isinstance(contender, Tierwright) and len(started) == 1:
                    _base(Path(name, "base"))
                contender.prepare()
            measured["about"].append(_about(started))
            _rounds(started, options, measured)
        except KeyboardInterrupt:
            print("interrupted; the measurements so far:")
        finally:
            for contender in started:
                contender.close()
            if not options.keep_base:
                remove_base()
    if measured["runs"]:
        print(f"\n{report.text_table(measured['runs'], measured['order'])}\n\n{report.conditions(measured)}")
    if options.json:
        options.json.write_text(json.dumps(measured, indent=1) + "\n")
    if options.keep:
        pictures.keep(measured if options.chain == "demo" else {options.chain: measured})


def _base(folder: Path) -> None:
    """Make the base, which all contenders need."""
    Tierwright({}, folder).prepare()


def _rounds(contenders: list[Contender], options: argparse.Namespace, measured: dict[str, Any]) -> None:
    names = {contender.name for contender in contenders}
    chosen = [
        key
        for key, scenario in SCENARIOS.items()
        if key in (options.scenario or SCENARIOS)
        and (not scenario.tier or scenario.tier in twins.CHAINS[options.chain])
    ]
    first = max((row["round"] for row in measured["runs"] if row["contender"] in names), default=0) + 1
    for round_ in range(first, first + options.rounds):
        order = random.Random(round_).sample(contenders, len(contenders))
        for contender in order:
            try:
                for row in measure(contender, chosen, round_):
                    measured["runs"].append(asdict(row))
                    text = f"round {round_}  {contender.name:20}{SCENARIOS[row.scenario].name:26}"
                    print(f"{text}{row.seconds:7.1f} s  load {row.load:.1f}", flush=True)
            except BuildError as error:
                measured["failures"].append({"contender": contender.name, "round": round_, "message": str(error)})
                print(f"round {round_}  {contender.name} failed: {error}", flush=True)
    if options.compare:
        _compare(contenders, measured)


def _compare(contenders: Sequence[Contender], measured: dict[str, Any]) -> None:
    """Build all images again without edits, and compare their content with those of Tierwright."""
    tiers = [contender for contender in contenders if type(contender) is Tierwright]
    if not tiers:
        print("content is not compared: tierwright does not run")
        return
    ours = tiers[0]
    ours.forget()
    ours.prepare_again()
    ours.build(cold=True)
    reference = {tier: content.read(ours.image(tier)) for tier in ours.parents}
    for contender in contenders:
        if isinstance(contender, (Tierwright, Empty)):
            continue
        contender.prepare_again()
        contender.build(cold=False)
        for tier in ours.parents:
            contender.export(tier)
            lines = content.differences(reference[tier], content.read(contender.image(tier)))
            measured["content"].setdefault(contender.name, {})[tier] = lines
            print(f"content of {contender.name} {tier}: {len(lines) or 'no'} differences", flush=True)
            for line in lines[:_SHOWN]:
                print(f"    {line}")


def _read(path: Path | None, chain: str) -> dict[str, Any]:
    if path and path.exists():
        data: dict[str, Any] = json.loads(path.read_text())
        if data["chain"] != chain:
            sys.exit(f"{path} has measurements of the chain {data['chain']}; use a different file for {chain}")
        return data
    order = [kind.name for kind in CONTENDERS]
    return {"chain": chain, "about": [], "order": order, "left_out": {}, "failures": [], "content": {}, "runs": []}


def _about(contenders: Sequence[Contender]) -> dict[str, Any]:
    """The conditions of the measurements."""
    try:
        engine = run(["docker", "version", "--format", "{{.Server.Version}}"]).strip()
    except BuildError as error:
        sys.exit(f"the bench cannot start: {error}")
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "python": platform.python_version(),
        "ansible-core": version("ansible-core"),
        "engine": engine,
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "storage": _storage(),
        "contenders": {contender.name: contender.version() for contender in contenders},
    }


def _storage() -> str:
    """The storage driver of the engine, and the file system that it uses, if that is on this machine.

    On ext4 without a journal, a file takes the longer to create the more files were deleted in the last minutes (Linux
    6.18, ``recently_deleted`` in fs/ext4/ialloc.c). There, each build makes the next one slower.
    """
    driver, _, folder = run(["docker", "info", "--format", "{{.Driver}} {{.DockerRootDir}}"]).strip().partition(" ")
    try:
        kind, device = run(["findmnt", "--noheadings", "--output", "FSTYPE,SOURCE", "--target", folder]).split()
    except (BuildError, OSError, ValueError):
        return driver
    journals = Path("/proc/fs/jbd2").glob(f"{Path(device).name}-*")
    return f"{driver} on {kind}{' without a journal' if kind == 'ext4' and not any(journals) else ''}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox --session bench -- chain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [kind.name for kind in CONTENDERS]
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (default 5); 0 only compares")
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="NAME",
        help=f"run only this contender; can be repeated: {'; '.join(names)}",
    )
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help="measure only this; can be repeated")
    parser.add_argument(
        "--chain",
        choices=twins.CHAINS,
        default="demo",
        help="demo (default), or fan-out: one core build, three tiers of middleware, and 50 applications upon these",
    )
    parser.add_argument("--compare", action="store_true", help="also compare the content of the images")
    parser.add_argument("--keep-base", action="store_true", help="do not remove the base at the end")
    parser.add_argument(
        "--keep", action="store_true", help="write the measurements to docs/benchmarks.md and its files"
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="add the measurements to those in FILE, which is made if it is missing",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
