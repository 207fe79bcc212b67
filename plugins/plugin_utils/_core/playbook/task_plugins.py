# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Loads what most tasks in build containers need, before Ansible starts a process for each of them.

These processes are forks of Ansible's main process. What it has loaded, they need not load again. Measured for a
`command` task: 36 ms without this, 27 ms with it.
"""

from __future__ import annotations

import contextlib
import itertools

from ansible.module_utils.common import json
from ansible.plugins.loader import action_loader, connection_loader, get_shell_plugin, module_loader

_CONNECTION = "tierwright.chain.tier"
#: The actions of most tasks in roles. ``normal`` is the action of all modules that have none of their own.
_ACTIONS = tuple(f"ansible.builtin.{name}" for name in ("normal", "command", "copy", "template"))
#: Two names of one module. Each is looked for in a different way, and Ansible remembers where all modules are.
_MODULES = ("ansible.builtin.command", "ansible.legacy.command")
#: How modules that are no different from Ansible's own exchange data with it.
_PROFILE = "legacy"


def load_task_plugins() -> None:
    """Load the connection to build containers, and what runs modules through it.

    Nothing is reported here: a task that cannot load something says so itself.
    """
    with contextlib.suppress(Exception):
        connection_loader.get(_CONNECTION, class_only=True)
        get_shell_plugin(shell_type="sh")
        for action in _ACTIONS:
            action_loader.get(action, class_only=True)
        for module in _MODULES:
            module_loader.find_plugin_with_context(module)
    _load_json_profiles()


def _load_json_profiles() -> None:
    # These functions are not a part of Ansible's public interface, so a later version may not have them.
    functions = (getattr(json, f"get_module_{name}", None) for name in ("encoder", "decoder"))
    for load, direction in itertools.product(filter(None, functions), getattr(json, "Direction", ())):
        with contextlib.suppress(Exception):
            load(_PROFILE, direction)
