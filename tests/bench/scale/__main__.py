"""Builds chains of many small tiers for real, and shows what grows faster than the chain.

Each tier has one task, which writes a file. Ten tiers have the same parent, so 1,000 tiers have three levels above
their base. The base is a small Debian, and is made before. Each chain is built from nothing, and then run again with
nothing to do.

The output has one line for each run.

``s``, ``s/tier``
    Seconds of the whole process, and these without an empty play over the same inventory, divided by the tiers.
``work``
    Seconds of processor time of Ansible and its workers.
``engine``
    Seconds of processor time of the engine's daemons on this machine in the meantime, also for other users of it.
    ``-`` means that no daemon was found.
``MB``
    Maximum megabytes of Ansible and its workers together.

If the chain grows and ``s/tier`` stays, nothing grows faster than the chain. The images are removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

import pictures
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from bench.plan.report import aligned
from bench.plan.runner import RunError, run

CHAIN = "tierwright-bench-scale"
_BUILD = "tierwright.chain.build_chain"
_BASE = "base"
#: Children of each tier.
_WIDTH = 10
_DAEMONS = {"dockerd", "containerd", "podman"}
_TIMEOUT = 3600  # seconds
_EMPTY = "- name: Do nothing\n  hosts: all\n  gather_facts: false\n  tasks: []\n"


def main() -> None:
    """Build the chains, and print the table."""
    options = _options()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="tierwright-bench-") as name:
        try:
            for count in options.tiers:
                folder = Path(name, str(count))
                write(folder, count)
                run(_BUILD, "--limit", _BASE, folder=folder, settings=_settings(folder), timeout=_TIMEOUT)
                empty = run("empty.yml", folder=folder, settings=_settings(folder), timeout=_TIMEOUT)
                for kind in ("build", "nothing to do"):
                    rows.append({"tiers": count, "kind": kind, **_measure(folder, empty.wall, count)})
                    print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
                remove_images(keep=_BASE)
        except RunError as error:
            print(f"a run failed:\n{str(error)[-3000:]}")
        finally:
            remove_images()
    heading = ("", "s", "s/tier", "work", "engine", "MB")
    lines = [
        (f"{row['tiers']} tiers: {row['kind']}", *(str(row[key]) for key in ("s", "s/tier", "work", "engine", "MB")))
        for row in rows
    ]
    print(f"\n{aligned([heading, *lines])}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.keep:
        pictures.keep({"scale": rows})


def write(folder: Path, count: int) -> None:
    """Write a project with a base and ``count`` tiers into a new folder."""
    (folder / "roles/one/tasks").mkdir(parents=True)
    task = {
        "name": "Write a file",
        "ansible.builtin.copy": {"content": "{{ inventory_hostname }}\n", "dest": "/srv/tier", "mode": "0644"},
    }
    (folder / "roles/one/tasks/main.yml").write_text(yaml.safe_dump([task], sort_keys=False))
    hosts: dict[str, Any] = {_BASE: {"tier_bootstrap": {"suite": "bookworm"}}}
    for number in range(count):
        parent = _BASE if number < _WIDTH else f"tier-{number // _WIDTH - 1:04}"
        hosts[f"tier-{number:04}"] = {"tier_parent": parent, "tier_role": "one"}
    image = f"{CHAIN}/{{{{ inventory_hostname }}}}"
    inventory = {"tiers": {"children": {"team": {"hosts": hosts}}, "vars": {"tier_chain": CHAIN, "tier_image": image}}}
    (folder / "chain.yml").write_text(yaml.safe_dump(inventory, sort_keys=False))
    (folder / "empty.yml").write_text(_EMPTY)
    settings = "inventory = chain.yml\nroles_path = roles\nforks = 20\nretry_files_enabled = false\n"
    (folder / "ansible.cfg").write_text(f"[defaults]\n{settings}")


def _measure(folder: Path, empty: float, count: int) -> dict[str, Any]:
    before = _engine_work()
    measured = run(_BUILD, folder=folder, settings=_settings(folder), timeout=_TIMEOUT)
    engine = _engine_work() - before
    return {
        "s": round(measured.wall, 1),
        "s/tier": round((measured.wall - empty) / count, 3),
        "work": round(measured.work, 1),
        "engine": round(engine, 1) if before else "-",
        "MB": round(measured.memory),
        "load": round(os.getloadavg()[0], 1),
    }


def _settings(folder: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(folder.parent / "state")}


def _engine_work() -> float:
    """Seconds of processor time of all daemons of engines on this machine since their start; 0 if there is none."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:  # it has ended
            continue
        if name in _DAEMONS:
            ticks += sum(map(int, rest.split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def remove_images(keep: str = "") -> None:
    """Remove the images of this chain, including those of a killed bench.

    Args:
        keep: The tier whose images stay.
    """
    engine = connect()
    for image_id in engine.images.labelled(f"{labels.CHAIN}={CHAIN}"):
        image = engine.images.find(image_id)
        for tag in image.tags if image else ():
            if not (keep and tag.startswith(f"{CHAIN}/{keep}:")):
                engine.images.remove(tag)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox --session bench -- scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--tiers",
        type=int,
        nargs="+",
        default=[50, 200, 1000],
        metavar="N",
        help="how many tiers the chains have (default 50 200 1000)",
    )
    parser.add_argument("--keep", action="store_true", help="write the measurements to docs/benchmarks.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements to FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
