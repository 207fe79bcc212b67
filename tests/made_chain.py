"""A made-up chain for tests of the report: an OCI layout with its images, and the status that plans and runs stored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain import tags
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.names import file_name
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.matrix_store import save_matrix
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.variant_matrix import (
    Cell,
    CellState,
    Matrix,
    Variant,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.gate_facts import (
    GateFacts,
    NotedFailure,
    SuiteFolder,
    note_gate,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import state_folder
from made_images import config, digest, layer, layout, tier_step, write

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
#: The tiers as pages list them: children after their parents, and sorted.
TIERS_IN_ORDER = ("base", "corebuild", "httpd-php", "wordpress", "shop", "mariadb")
EARLIER, LATER = "2026-11-23T09:30:00+00:00", "2026-11-24T09:30:00+00:00"
#: The release tag of images, and earlier ones, the newest first.
RELEASES = (
    "release-20261124T093000Z",
    "release-20261119T141500Z",
    "release-20261112T080000Z",
    "release-20261105T100000Z",
    "release-20261029T161000Z",
)
#: ID of the run that built and tested everything.
RUN = "20261124T092500Z-0123abcd"
STATUS = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n\n"


_TEAMS = ("operations", "middleware", "development", "data", "security")
#: Levels of a large chain below its base, and children of a tier.
_LEVELS, _CHILDREN = 10, 3


def large(count: int) -> dict[str, tuple[str | None, str]]:
    """Return the tiers of a large chain, which has ten levels."""
    tiers: dict[str, tuple[str | None, str]] = {}
    depths: list[int] = []
    for number in range(count):
        parent = (number - 1) // _CHILDREN if number else None
        while parent is not None and depths[parent] >= _LEVELS:
            parent = (parent - 1) // _CHILDREN
        depths.append(0 if parent is None else depths[parent] + 1)
        parent_name = None if parent is None else f"tier{parent:04}"
        tiers[f"tier{number:04}"] = (parent_name, _TEAMS[depths[-1] % len(_TEAMS)])
    return tiers


def images(
    tiers: Mapping[str, tuple[str | None, str]], chain: str = NAME, releases: int = 1
) -> dict[str, tuple[bytes, Sequence[bytes]]]:
    """Images of tiers, by name. Each has its own layer with one new package and a new version of the package `ssl`.

    With several releases, each tier has an image for each of them.
    """
    documents: dict[str, tuple[bytes, Sequence[bytes]]] = {}
    for age in reversed(range(releases)):
        stacks: dict[str, list[bytes]] = {}
        steps: dict[str, list[dict[str, Any]]] = {}
        packages: dict[str, dict[str, str]] = {}
        protections: dict[str, list[dict[str, Any]]] = {}
        for number, (tier, (parent, team)) in enumerate(tiers.items()):
            packages[tier] = {**packages.get(parent or "", {}), "ssl": f"3.0.{number}", f"{tier}-data": "1"}
            status = "".join(STATUS.format(*package) for package in packages[tier].items())
            motd = f"{tier} {age}" if age else tier
            own = layer(
                ("var/lib/dpkg/status", status.encode()), ("etc/motd", motd.encode()), (f"srv/{number}", b"x" * number)
            )
            stacks[tier] = [*stacks.get(parent or "", []), own]
            steps[tier] = [*steps.get(parent or "", []), tier_step(tier, team)]
            protections[tier] = [
                *protections.get(parent or "", []),
                {"tier": tier, "team": team, "paths": [f"etc/{tier}"]},
            ]
            labels = {
                "io.tierwright.chain": chain,
                "io.tierwright.tier": tier,
                "io.tierwright.team": team,
                "io.tierwright.protects": json.dumps(protections[tier]),
                "io.tierwright.parts": json.dumps({"role/tasks/main.yml": f"{age}"}),
            }
            settings = {"Env": ["PATH=/usr/bin:/bin", f"ROLE={tier}"], "Cmd": [f"/usr/sbin/{tier}", "--foreground"]}
            document = config(stacks[tier], steps[tier], Labels=labels, **settings)
            documents[f"{tier}:{RELEASES[age]}"] = document, stacks[tier]
            if age == 0:
                documents[f"{tier}:latest"] = document, stacks[tier]
    return documents


def write_layout(
    folder: Path, tiers: Mapping[str, tuple[str | None, str]] = TIERS, chain: str = NAME, releases: int = 1
) -> str:
    """Write an OCI layout with the images of a chain. Return its location in the form that the command expects."""
    return f"oci:{write(folder, layout(images(tiers, chain, releases)))}"


def write_tests(
    tiers: Mapping[str, tuple[str | None, str]] = TIERS,
    chain: str = NAME,
    releases: int = 1,
    failed: Mapping[str, str] | None = None,
) -> None:
    """Note the results of tests of all images but the base's. `failed` maps tiers to messages.

    Each tier has two tests of its own, fewer in older releases, and passes one contract of each ancestor.
    """
    records, made = LocalRecords(), images(tiers, chain, releases)
    for tier, (parent, _team) in tiers.items():
        if parent is None:
            continue
        above = list(_ancestors(tier, tiers))
        folders = [_folder(each, "own" if each == tier else "contract", tiers) for each in (tier, *above)]
        contracts = [f"{_tests(each)}/test_{file_name(each)}.py::test_protects_it" for each in above]
        for age in range(releases):
            own = [f"{_tests(tier)}/test_site.py::test_{number}" for number in range(max(1, 4 - age))]
            facts = GateFacts(
                tier=tier,
                folders=tuple(folders),
                neighbours={},
                passed=(*own, *contracts),
                skipped=(f"{_tests(tier)}/test_site.py::test_ipv6",),
                failed=(),
                tested=EARLIER,
                run=RUN,
                seconds={name: 0.25 + 0.5 * number for number, name in enumerate((*own, *contracts))},
            )
            image = digest(made[f"{tier}:{RELEASES[age]}"][0])
            note_gate(records, image, facts)
            if age == 0 and tier in (failed or {}):
                failure = NotedFailure(own[0], (failed or {})[tier])
                rejected = replace(facts, passed=facts.passed[1:], failed=(own[0],), tested=LATER, failures=(failure,))
                note_gate(records, image, rejected)


def _ancestors(tier: str, tiers: Mapping[str, tuple[str | None, str]]) -> Iterator[str]:
    parent = tiers[tier][0]
    while parent is not None:
        yield parent
        parent = tiers[parent][0]


def _tests(tier: str) -> str:
    return f"roles/{file_name(tier)}/tests"


def _folder(tier: str, kind: str, tiers: Mapping[str, tuple[str | None, str]]) -> SuiteFolder:
    return SuiteFolder(tier, tiers[tier][1], kind, "11" * 32, folder=_tests(tier))


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
                "run": RUN,
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
