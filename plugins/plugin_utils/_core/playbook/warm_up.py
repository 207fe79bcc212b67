# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filling Ansible's caches in the main process, before workers are forked from it.

Each task is a fork that forgets what it has loaded. So every task would search the folders of plugins, load the
encoding of module arguments, and build the lexer of templates again.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable

from ansible.plugins.loader import action_loader, connection_loader, get_shell_plugin, module_loader
from ansible.template import Templar

#: Modules that action plugins run by these names. A search for one of them lists the folders for all others.
_MODULES = ("ansible.legacy.command", "ansible.legacy.copy", "ansible.legacy.stat", "ansible.legacy.file")

#: Encodings of the arguments and results of modules, which are loaded by name (ansible-core 2.19 and later).
_PROFILES = "ansible.module_utils._internal._json._profiles._module_{}_{}"


def load_for_workers() -> None:
    """Load what the tasks in build containers need. Whatever fails here is loaded by the tasks."""
    connection_loader.get("tierwright.chain.tier", class_only=True)
    get_shell_plugin(shell_type="sh")
    for load in (_find_plugins, _load_profiles, _prepare_templates):
        _try(load)


def _try(load: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):  # it only saves time, and a task that needs it reports the error
        load()


def _find_plugins() -> None:
    for name in _MODULES:
        module_loader.find_plugin_with_context(name)
        action_loader.find_plugin_with_context(name)


def _load_profiles() -> None:
    for profile in ("legacy", "modern"):
        for direction in ("c2m", "m2c"):
            importlib.import_module(_PROFILES.format(profile, direction))


def _prepare_templates() -> None:
    source = "{{ 1 }}"
    trust: Callable[[str], str] | None = getattr(sys.modules.get("ansible.template"), "trust_as_template", None)
    Templar(loader=None, variables={}).template(trust(source) if trust else source)
