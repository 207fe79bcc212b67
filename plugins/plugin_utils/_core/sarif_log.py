# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logs in the format SARIF 2.1.0, which code scanning services read (OASIS standard, sarif-v2.1.0)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .product_version import version

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

ERROR, WARNING = "error", "warning"


class SarifResult(msgspec.Struct, frozen=True):
    """One result."""

    #: The ID of its rule.
    rule: str
    message: str
    #: The file that it is shown at, and its line.
    file: str
    #: The tier; empty for the whole chain.
    tier: str
    #: The kind of the fingerprint, and what decides it: a service recognises a result by it after its text has changed.
    identity: tuple[str, ...]
    fingerprint: str
    line: int = 1
    level: str = ERROR


def sarif_log(results: Sequence[SarifResult], rules: Mapping[str, str]) -> dict[str, Any]:
    """Return a log with one run.

    Args:
        results: The results.
        rules: What each rule means, by its ID. Only those of the results are written.
    """
    used = {result.rule for result in results}
    driver = {
        "name": "tierwright",
        "semanticVersion": version(),
        "rules": [{"id": rule, "shortDescription": {"text": text}} for rule, text in rules.items() if rule in used],
    }
    run = {"tool": {"driver": driver}, "results": [_result(result) for result in results]}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(result: SarifResult) -> dict[str, Any]:
    place = {
        "physicalLocation": {"artifactLocation": {"uri": result.file}, "region": {"startLine": result.line}},
        "logicalLocations": [{"fullyQualifiedName": f"tier/{result.tier or 'chain'}", "kind": "module"}],
    }
    digest = hashlib.sha256("\0".join(result.identity).encode()).hexdigest()
    return {
        "ruleId": result.rule,
        "level": result.level,
        "message": {"text": result.message},
        "locations": [place],
        "partialFingerprints": {result.fingerprint: digest},
    }
