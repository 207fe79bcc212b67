# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_test``."""

from __future__ import annotations

from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.gate import TIMEOUT
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.signing_settings import SIGNING_KEY
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import TierAction
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.image_tests import run_gate


class ActionModule(TierAction):
    """Tests a tier's image, and fails if a test fails."""

    def work(self, name: str, journal: Journal, variables: dict[str, Any]) -> dict[str, Any]:
        timeout = _read_timeout(name, self._task.args.get("timeout"))
        verdict = run_gate(connect(), journal, name, timeout, say, is_signed=SIGNING_KEY in variables)
        tests, seconds = (verdict.tests, verdict.seconds) if verdict else (0, 0.0)
        return {"changed": False, "tests": tests, "seconds": seconds}


def _read_timeout(tier: str, value: Any) -> float:
    try:
        seconds = float(TIMEOUT if value is None else value)
    except (TypeError, ValueError):
        seconds = 0
    if not seconds > 0:
        raise ChainError(f"tier {tier!r}: tier_test_timeout is {value!r}; expected a number of seconds above 0")
    return seconds
