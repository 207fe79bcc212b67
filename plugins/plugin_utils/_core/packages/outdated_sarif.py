# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Outdated packages as SARIF: a security update is an error, another update a warning."""

from __future__ import annotations

from typing import Any

from ..sarif_log import ERROR, WARNING, SarifResult, sarif_log
from .outdated_packages import Outdated, Update

_SECURITY, _UPDATE, _UNREAD = "outdated/security", "outdated/update", "outdated/not-compared"
_RULES = {
    _SECURITY: "No security update is missing",
    _UPDATE: "No update is missing",
    _UNREAD: "All packages can be compared with an archive",
}
_FINGERPRINT = "outdatedPackage/v1"


def outdated_sarif(answer: Outdated, file: str) -> dict[str, Any]:
    """Return the updates that are missing, and what could not be compared, as a SARIF log.

    Args:
        answer: The answer of ``tierwright outdated``.
        file: Path that the results are shown at.
    """
    unread = [SarifResult(_UNREAD, text, file, "", (text,), _FINGERPRINT, level=WARNING) for text in answer.unread]
    return sarif_log([*(_result(update, file) for update in answer.updates), *unread], _RULES)


def _result(update: Update, file: str) -> SarifResult:
    owner, tier = update.owner, update.owner.tier or ""
    text = (
        f"{update.name}:{update.architecture} {update.installed} is outdated, {update.candidate} is newer; "
        f"{owner.called}{f', team {owner.team}' if owner.team else ''} must be rebuilt; in {', '.join(update.images)}"
    )
    identity = (tier or owner.called, update.name, update.architecture, update.candidate)
    rule, level = (_SECURITY, ERROR) if update.security else (_UPDATE, WARNING)
    return SarifResult(rule, text, file, tier, identity, _FINGERPRINT, level=level)
