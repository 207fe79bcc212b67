"""A made-up chain for tests of the report: an OCI layout with its images, and the status that plans and runs stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain import tags
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.matrix_store import save_matrix
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.variant_matrix import (
    Cell,
    CellState,
    Matrix,
    Variant,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import state_folder
from made_images import config, layer, layout, tier_step, write

NAME = "shop"
#: Tier to its parent and team.
TIERS: dict[str, tuple[str | None, str]] = {
    "base": (None, "operations"),
    "corebuild": ("base", "operations"),
    "httpd-php": ("corebuild", "middleware"),
    "mariadb": ("corebuild", "middleware"),
    "wordpress": ("httpd-php", "development"),
    "shop": ("wordpress", "development"),
}
EARLIER, LATER = "2026-11-23T09:30:00+00:00", "2026-11-24T09:30:00+00:00"
STATUS = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n\n"


def images(tiers: Mapping[str, tuple[str | None, str]], chain: str = NAME) -> dict[str, Any]:
    """Images of tiers, by name. Each has its own layer with one new package and a new version of the package `ssl`."""
    stacks: dict[str, list[bytes]] = {}
    steps: dict[str, list[dict[str, Any]]] = {}
    packages: dict[str, dict[str, str]] = {}
    documents = {}
    for number, (tier, (parent, team)) in enumerate(tiers.items()):
        packages[tier] = {**packages.get(parent or "", {}), "ssl": f"3.0.{number}", f"{tier}-data": "1"}
        status = "".join(STATUS.format(*package) for package in packages[tier].items())
        own = layer(
            ("var/lib/dpkg/status", status.encode()), ("etc/motd", tier.encode()), (f"srv/{number}", b"x" * number)
        )
        stacks[tier] = [*stacks.get(parent or "", []), own]
        steps[tier] = [*steps.get(parent or "", []), tier_step(tier, team)]
        labels = {"io.tierwright.chain": chain, "io.tierwright.tier": tier, "io.tierwright.team": team}
        document = config(stacks[tier], steps[tier], Labels=labels)
        documents[f"{tier}:latest"] = documents[f"{tier}:release-20261124T093000Z"] = (document, stacks[tier])
    return documents


def write_layout(folder: Path, tiers: Mapping[str, tuple[str | None, str]] = TIERS, chain: str = NAME) -> str:
    """Write an OCI layout with the images of a chain. Return its location in the form that the command expects."""
    return f"oci:{write(folder, layout(images(tiers, chain)))}"


def write_status(
    tiers: Mapping[str, tuple[str | None, str]] = TIERS,
    chain: str = NAME,
    failed: Mapping[str, str] | None = None,
    stale: Mapping[str, str] | None = None,
) -> None:
    """Write the status of a chain. `failed` maps tiers to messages, `stale` maps tiers to reasons."""
    failed, status = failed or {}, {}
    for tier, (parent, team) in tiers.items():
        ancestor, result = parent, "failed" if tier in failed else "kept"
        while ancestor is not None:
            result = "not reached" if ancestor in failed else result
            ancestor = tiers[ancestor][0]
        reasons = [stale[tier]] if stale and tier in stale else ["nothing changed"]
        action = "build" if result != "kept" or reasons != ["nothing changed"] else "keep"
        status[tier] = {
            "tier": tier,
            "team": team,
            "parent": parent,
            "release": f"{tier}:latest",
            "wanted": {"when": LATER, "action": action, "reasons": reasons},
            "ended": {
                "when": EARLIER,
                "run": "r",
                "action": action,
                "result": result,
                "said": failed.get(tier, "the tier below it failed" if result == "not reached" else ""),
                "image": None,
                "tests": None if tier == "base" else 3,
                "failures": [{"test": "test_it", "owner": team, "message": "no"}] if tier in failed else [],
            },
        }
    folder = state_folder(chain)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "standing.json").write_text(json.dumps(status))


def write_matrices(tiers: Mapping[str, tuple[str | None, str]] = TIERS, chain: str = NAME) -> None:
    """Write two compatibility matrices. In the second one, the last tier but one fails on one variant."""
    names = list(tiers)
    passed = [Cell(tier, CellState.PASSED, image="sha256:1", seconds=1.5) for tier in names]
    with_failure = [
        *passed[:-2],
        Cell(names[-2], CellState.FAILED, "test_it.py::test_login", "assert 500 == 200\n  where 500 = status"),
        Cell(names[-1], CellState.NOT_REACHED),
    ]
    for moment, debian_13 in ((EARLIER, passed), (LATER, with_failure)):
        variants = [
            Variant("debian-12", "Debian 12", passed),
            Variant("debian-13", "Debian 13", debian_13),
            Variant("no-hardening", "Debian 12, no hardening", passed),
        ]
        release = tags.release(Matrix(1, chain, None, moment, []).moment)
        save_matrix(state_folder(chain), Matrix(1, chain, release, moment, variants))
