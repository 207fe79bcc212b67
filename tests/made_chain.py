"""A chain made by hand for tests of the report: its images as an OCI layout, and what plans and runs noted of it."""

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
from made_images import config, layer, layout, ours, write

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
    """Images of tiers, by name: each with a layer of its own, a package of its own, and the package `ssl` changed."""
    stacks: dict[str, list[bytes]] = {}
    steps: dict[str, list[dict[str, Any]]] = {}
    packages: dict[str, dict[str, str]] = {}
    made = {}
    for number, (tier, (parent, team)) in enumerate(tiers.items()):
        packages[tier] = {**packages.get(parent or "", {}), "ssl": f"3.0.{number}", f"{tier}-data": "1"}
        status = "".join(STATUS.format(*each) for each in packages[tier].items())
        own = layer(
            ("var/lib/dpkg/status", status.encode()), ("etc/motd", tier.encode()), (f"srv/{number}", b"x" * number)
        )
        stacks[tier] = [*stacks.get(parent or "", []), own]
        steps[tier] = [*steps.get(parent or "", []), ours(tier, team)]
        labels = {"io.tierwright.chain": chain, "io.tierwright.tier": tier, "io.tierwright.team": team}
        document = config(stacks[tier], steps[tier], Labels=labels)
        made[f"{tier}:latest"] = made[f"{tier}:release-20261124T093000Z"] = (document, stacks[tier])
    return made


def place(folder: Path, tiers: Mapping[str, tuple[str | None, str]] = TIERS, chain: str = NAME) -> str:
    """An OCI layout of a chain's images, as the command names it."""
    return f"oci:{write(folder, layout(images(tiers, chain)))}"


def note(
    tiers: Mapping[str, tuple[str | None, str]] = TIERS,
    chain: str = NAME,
    failed: Mapping[str, str] | None = None,
    stale: Mapping[str, str] | None = None,
) -> None:
    """Note plans and runs: tiers that failed with what was said, those not reached then, and stale ones with why."""
    failed, noted = failed or {}, {}
    for tier, (parent, team) in tiers.items():
        above, result = parent, "failed" if tier in failed else "kept"
        while above is not None:
            result = "not reached" if above in failed else result
            above = tiers[above][0]
        reasons = [stale[tier]] if stale and tier in stale else ["nothing changed"]
        action = "build" if result != "kept" or reasons != ["nothing changed"] else "keep"
        noted[tier] = {
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
    (folder / "standing.json").write_text(json.dumps(noted))


def note_matrices(tiers: Mapping[str, tuple[str | None, str]] = TIERS, chain: str = NAME) -> None:
    """Keep two compatibility matrices: all passed, then one variant on which the last but one tier fails."""
    names = list(tiers)
    good = [Cell(tier, CellState.PASSED, image="sha256:1", seconds=1.5) for tier in names]
    bad = [
        *good[:-2],
        Cell(names[-2], CellState.FAILED, "test_it.py::test_login", "assert 500 == 200\n  where 500 = status"),
        Cell(names[-1], CellState.NOT_REACHED),
    ]
    for made, last in ((EARLIER, good), (LATER, bad)):
        variants = [
            Variant("debian-12", "Debian 12", good),
            Variant("debian-13", "Debian 13", last),
            Variant("no-hardening", "Debian 12, no hardening", good),
        ]
        release = tags.release(Matrix(1, chain, None, made, []).moment)
        save_matrix(state_folder(chain), Matrix(1, chain, release, made, variants))
