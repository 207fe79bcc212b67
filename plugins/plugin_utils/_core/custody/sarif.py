# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Failed links as SARIF 2.1.0, which code scanning services read (OASIS standard, sarif-v2.1.0)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from ..policy.link import Link

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

#: What each link means. The policy, signature and layer links are about the image, the others about how it was made.
_RULES = {
    "policy": "The policy has a rule for this tier",
    "signature": "Enough keys of the tier's team signed",
    "provenance": "A signed statement tells how the image was built",
    "layers": "Each layer belongs to one tier of the line",
    "parent": "The image was built on the parent that it is based on",
    "source": "The source comes from an allowed repository and branch",
    "builders": "Enough builders made the same image",
    "tests": "The required tests and contracts passed",
    "sbom": "A signed bill of materials exists",
    "writes": "The layer writes only allowed paths",
    "outdated": "No security update is missing for too long",
    "base age": "The base is not too old",
    "freshness": "The release record is the newest one",
    "packages": "dpkg's database lists what the layer installed",
    "content": "The bytes of each layer have its digest",
}


def to_sarif(links: Iterable[Link], image: str, file: str, version: str) -> dict[str, Any]:
    """Return the failed links as a SARIF log with one run.

    Args:
        links: The links. Those that hold are left out.
        image: The image, for messages.
        file: Path that the results are shown at: the policy.
        version: The version of this program.
    """
    failed = [link for link in links if not link.ok]
    rules = [
        {"id": _rule(name), "shortDescription": {"text": text}}
        for name, text in _RULES.items()
        if any(link.name == name for link in failed)
    ]
    driver = {"name": "tierwright", "semanticVersion": version, "rules": rules}
    results = [_result(link, image, file) for link in failed]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _rule(name: str) -> str:
    return f"custody/{name.replace(' ', '-')}"


def _result(link: Link, image: str, file: str) -> dict[str, Any]:
    text = f"{image}: tier {link.tier!r}: {link.detail}" + (f"; {link.action}" if link.action else "")
    place = {
        "physicalLocation": {"artifactLocation": {"uri": file}, "region": {"startLine": 1}},
        "logicalLocations": [{"fullyQualifiedName": f"tier/{link.tier or 'chain'}", "kind": "module"}],
    }
    # A service recognises a finding by its fingerprint, also after the text has changed.
    fingerprint = hashlib.sha256(f"{link.tier}\0{link.name}".encode()).hexdigest()
    return {
        "ruleId": _rule(link.name),
        "level": "error",
        "message": {"text": text},
        "locations": [place],
        "partialFingerprints": {"custodyLink/v1": fingerprint},
    }
