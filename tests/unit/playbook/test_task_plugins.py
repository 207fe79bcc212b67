"""What Ansible's main process loads before the tasks of a build, so that their processes need not load it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from ansible.errors import AnsibleError

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook import task_plugins

#: Does what each task does in a process of its own, and prints what was loaded for that.
SCRIPT = """
import json, os, sys
from ansible import constants
from ansible.module_utils.common.json import Direction, get_module_decoder, get_module_encoder
from ansible.plugins import loader
loader.init_plugin_loader([])
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.task_plugins import load_task_plugins
if sys.argv[1] == "ahead":
    load_task_plugins()
before, listed, listdir = set(sys.modules), [], os.listdir
os.listdir = lambda path=".": listed.append(os.fsdecode(path)) or listdir(path)
connection = loader.connection_loader.get("tierwright.chain.tier", class_only=True)
loader.get_shell_plugin(shell_type="sh")
loader.module_loader.find_plugin_with_context("ansible.legacy.copy")
get_module_encoder("legacy", Direction.CONTROLLER_TO_MODULE)
get_module_decoder("legacy", Direction.MODULE_TO_CONTROLLER)
print(json.dumps({
    "connection": connection.transport if connection else "",
    "imported": sorted(set(sys.modules) - before),
    "listed": sorted(path for path in listed if path.endswith("/modules")),
    "knows_options": constants.config.has_configuration_definition("connection", connection.__module__),
}))
"""


def run(when, **environment):
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, when],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(process.stdout)


@pytest.mark.parametrize(("when", "loads"), [("ahead", False), ("late", True)])
def test_a_task_loads_nothing_that_the_main_process_has_loaded(when, loads):
    loaded = run(when)
    assert (loaded["connection"], loaded["knows_options"]) == ("tierwright.chain.tier", True)
    assert [bool(loaded["imported"]), bool(loaded["listed"])] == [loads, loads], loaded


@pytest.mark.parametrize("error", [AnsibleError("no such plugin"), ImportError("no such module")])
def test_what_cannot_be_loaded_is_left_to_the_tasks(monkeypatch, error):
    def fail(*_args, **_options):
        raise error

    monkeypatch.setattr(task_plugins.connection_loader, "get", fail)
    monkeypatch.setattr(task_plugins.json, "get_module_encoder", fail)
    task_plugins.load_task_plugins()


def test_a_version_of_ansible_without_these_functions_needs_no_profiles(monkeypatch):
    for name in ("get_module_encoder", "get_module_decoder", "Direction"):
        monkeypatch.delattr(task_plugins.json, name)
    task_plugins.load_task_plugins()
