"""Ansible's caches in the main process."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader([])
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook import warm_up
for load in (warm_up._find_plugins, warm_up._prepare_templates):
    load()  # an error here must not be hidden
warm_up.load_for_workers()
assert "ansible_collections.tierwright.chain.plugins.connection.tier" in sys.modules
"""


def test_all_that_is_loaded_for_workers_exists():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)
