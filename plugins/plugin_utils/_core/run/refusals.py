# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The refusals of a run as SARIF: images that tests rejected, tiers that failed, and a run that failed as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..sarif_log import SarifResult, sarif_log
from ..state.status import FAILED

if TYPE_CHECKING:
    from .result import RunResult, TierResult

_TEST, _TIER, _RUN = "run/test", "run/tier", "run/chain"
_RULES = {
    _TEST: "The image of a tier passes its tests and the contracts of its ancestors",
    _TIER: "A tier is built, and its layer is accepted",
    _RUN: "A run plans the chain, and releases what passed",
}
_FINGERPRINT = "refusal/v1"

#: The place of a task in an explanation.
_PLACE = re.compile(r"\(([^():\s]+\.ya?ml):(\d+)\)")
#: What a refusal is shown at if no file is known.
_NOWHERE = "inventory"


def refusals(result: RunResult) -> str:
    """Return the refusals of a run as a SARIF document; without any, its list of results is empty."""
    found = [each for tier in result.tiers if tier.result == FAILED for each in _of_tier(tier)]
    if result.error is not None:
        found.append(_make(_RUN, result.error, _NOWHERE, "", (result.error.partition("\n")[0],)))
    return json.dumps(sarif_log(found, _RULES), indent=2) + "\n"


def _of_tier(tier: TierResult) -> Iterator[SarifResult]:
    failed = [test for test in tier.tests if test.result == FAILED and test.test]
    for test in failed:
        owner = f" (of tier {test.tier!r}, team {test.owner})" if test.tier else ""
        text = f"tier {tier.tier!r} of team {tier.team}: {test.test}{owner}: {test.message}"
        yield _make(_TEST, text, test.test.partition("::")[0], tier.tier, (test.test,))
    if not failed:
        told = "\n".join(tier.told) or tier.reason
        place = _PLACE.search(told)
        file, line = (place[1], int(place[2])) if place else (_NOWHERE, 1)
        yield _make(_TIER, f"tier {tier.tier!r} of team {tier.team}: {told}", file, tier.tier, (file,), max(line, 1))


def _make(rule: str, text: str, file: str, tier: str, identity: tuple[str, ...], line: int = 1) -> SarifResult:
    return SarifResult(rule, text, file, tier, (rule, tier, *identity), _FINGERPRINT, line)
