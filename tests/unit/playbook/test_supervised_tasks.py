"""Tasks of a role that cannot be supervised are replaced by tasks that fail."""

from __future__ import annotations

import pytest
from ansible.playbook.task import Task

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.supervised_tasks import (
    replace_unsuitable,
    unsuitable_reason,
)


def task(**fields):
    return Task.load(fields)


@pytest.mark.parametrize("name", ["flush_handlers", "noop", "end_role", "reset_connection", "clear_facts"])
def test_meta_actions_on_one_host_are_unchanged(name):
    assert unsuitable_reason(task(**{"ansible.builtin.meta": name})) == ""


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ansible.builtin.meta": "end_host"}, "meta: end_host ends the play for its host"),
        ({"meta": "end_play"}, "meta: end_play ends the play for all hosts"),
        ({"ansible.legacy.meta": "end_batch"}, "meta: end_batch ends the play for all hosts"),
        ({"ansible.builtin.meta": "clear_host_errors"}, "makes Ansible forget that other tiers failed"),
        ({"ansible.builtin.meta": "refresh_inventory"}, "reads the inventory of all tiers again"),
        ({"ansible.builtin.meta": "nonsense"}, "meta: nonsense is not a meta action that a build supports"),
        ({"pause": {"seconds": 1}}, "waits for somebody at a terminal"),
        ({"pause": {"prompt": "sure"}}, "waits for somebody at a terminal"),
        ({"add_host": {"name": "x"}}, "acts once for all hosts of a play"),
    ],
)
def test_a_task_that_affects_other_tiers_is_replaced_by_a_failure(fields, reason):
    replaced = task(**fields, when="some_condition")
    replace_unsuitable(replaced)
    assert replaced.action == "ansible.builtin.fail"
    assert reason in replaced.args["msg"]
    assert replaced.when == ["some_condition"]


def test_throttle_and_debugger_are_removed_from_tasks():
    adjusted = task(command="true", throttle=1, debugger="on_failed")
    replace_unsuitable(adjusted)
    assert (adjusted.action, adjusted.throttle, adjusted.debugger) == ("command", 0, "never")
