"""Measures custody on the demo chain: what signing adds to a build, and how long an image takes to verify.

``sign``
    Milliseconds for each tier to make and sign all statements about its image, with a new key each time: provenance,
    tests, both bills of materials, and the signature. This is what a promotion adds if ``tier_signing_key`` is set.
``again``
    The same with a key that has signed before.
``verify``, ``custody``, ``sbom``
    Seconds of the whole command ``tierwright`` for WordPress and all tiers below it, from its start to its end.

The bench needs the demo chain, built on this machine: what was noted about the builds is signed. Keys, policy and
records are in a temporary folder. It prints figures and never fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import local_files
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.sbom_statements import BillWriter
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.sign_records import sign_images
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy_signature import sign_policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.transport import open_place
from signed_chain import KeyInMemory

TIERS = {
    "base": "operations",
    "corebuild": "operations",
    "httpd-php": "middleware",
    "mariadb": "middleware",
    "haproxy": "middleware",
    "wordpress": "development",
}


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Measures signing and verifying.")
    parser.add_argument("--rounds", type=int, default=7, help="number of measurements (default 7)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="tierwright-bench-") as name:
        folder = Path(name)
        shutil.copytree(local_files.state(), folder / "state/tierwright", symlinks=True)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        print(f"cores {os.cpu_count()}  load {os.getloadavg()[0]:.1f}  rounds {rounds}", flush=True)
        for what, unit, times in _measure(folder, rounds):
            print(f"{what:9}{statistics.median(times):8.3f} {unit}  ({min(times):.3f} to {max(times):.3f})", flush=True)


def _measure(folder: Path, rounds: int) -> list[tuple[str, str, list[float]]]:
    teams = sorted(set(TIERS.values()))
    first = {team: KeyInMemory() for team in teams}
    _sign(first)
    new, again = [], []
    for _round in range(rounds):
        keys = {team: KeyInMemory() for team in teams}
        new.append(_time(lambda keys=keys: _sign(keys)) / len(TIERS))  # type: ignore[misc]
        again.append(_time(lambda keys=keys: _sign(keys)) / len(TIERS))  # type: ignore[misc]
    commands = _write_policy(folder, first)
    for command in commands.values():
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # reads the layers, if this was never done
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _round in range(rounds):
        for name, command in commands.items():
            seconds[name].append(
                _time(lambda command=command: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))  # type: ignore[misc]
            )
    in_milliseconds = [("sign", new), ("again", again)]
    return [
        *((name, "ms a tier", [each * 1000 for each in times]) for name, times in in_milliseconds),
        *((name, "s", times) for name, times in seconds.items()),
    ]


def _sign(keys: dict[str, KeyInMemory]) -> None:
    engine, store = connect(), Store()
    images = {tier: engine.images.get(f"{tier}:latest").id for tier in TIERS}
    bills = BillWriter(open_place("", "", store), store).makers()
    signed = sign_images(
        engine, images, lambda tier: keys[TIERS[tier]], records=LocalRecords(print), more_statements=bills
    )
    if signed.unsigned:
        sys.exit("\n".join(signed.unsigned.values()))


def _write_policy(folder: Path, keys: dict[str, KeyInMemory]) -> dict[str, list[str]]:
    path, owner = folder / "chain-policy.yml", KeyInMemory()
    teams = {team: {"keys": {f"{team}-1": key.public_key.pem}} for team, key in keys.items()}
    tiers = {tier: {"team": team, "clean": False, "sbom": True} for tier, team in TIERS.items()}
    path.write_text(yaml.safe_dump({"version": 1, "expires": "2099-01-01", "teams": teams, "tiers": tiers}))
    (folder / "owner.pub").write_text(owner.public_key.pem)
    sign_policy(path, owner)
    program = str(Path(sys.executable).with_name("tierwright"))
    options = ["wordpress", "--policy", str(path), "--policy-key", str(folder / "owner.pub")]
    verifying = {verb: [program, verb, *options] for verb in ("verify", "custody")}
    return {**verifying, "sbom": [program, "sbom", "wordpress"]}


def _time(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
