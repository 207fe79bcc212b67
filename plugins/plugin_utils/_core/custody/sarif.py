# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Failed links as SARIF 2.1.0, which code scanning services read (OASIS standard, sarif-v2.1.0)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..policy.link import Link
from ..sarif_log import SarifResult, sarif_log

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


def to_sarif(links: Iterable[Link], image: str, file: str) -> dict[str, Any]:
    """Return the failed links as a SARIF log with one run.

    Args:
        links: The links. Those that hold are left out.
        image: The image, for messages.
        file: Path that the results are shown at: the policy.
    """
    failed = [_result(link, image, file) for link in links if not link.ok]
    return sarif_log(failed, {_rule(name): text for name, text in _RULES.items()})


def _rule(name: str) -> str:
    return f"custody/{name.replace(' ', '-')}"


def _result(link: Link, image: str, file: str) -> SarifResult:
    text = f"{image}: tier {link.tier!r}: {link.detail}" + (f"; {link.action}" if link.action else "")
    return SarifResult(_rule(link.name), text, file, link.tier, (link.tier, link.name), "custodyLink/v1")
