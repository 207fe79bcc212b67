# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.engine_info``."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError


class ActionModule(ActionBase):
    """Finds out whether an engine answers the controller."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        result = {"changed": False, "address": engine_address(), "named": bool(os.environ.get("DOCKER_HOST"))}
        try:
            version = connect().system.version()
        except EngineError as error:
            return {**result, "answers": False, "version": None, "message": str(error)}
        return {**result, "answers": True, "version": version, "message": ""}
