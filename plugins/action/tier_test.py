# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_test``."""

from __future__ import annotations

from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.gate import TIMEOUT
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import TierAction
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.image_tests import prove


class ActionModule(TierAction):
    """Lets a tier's image pass its tests, or fails."""

    def work(self, name: str, journal: Journal, variables: dict[str, Any]) -> dict[str, Any]:
        verdict = prove(connect(), journal, name, _seconds(name, self._task.args.get("timeout")))
        tests, seconds = (verdict.tests, verdict.seconds) if verdict else (0, 0.0)
        return {"changed": False, "tests": tests, "seconds": seconds}


def _seconds(tier: str, given: Any) -> float:
    try:
        seconds = float(TIMEOUT if given is None else given)
    except (TypeError, ValueError):
        seconds = 0
    if not seconds > 0:
        raise ChainError(f"tier {tier!r}: tier_test_timeout is {given!r}; expected seconds, more than 0")
    return seconds
