"""Which tasks of a role become tasks that fail."""

from __future__ import annotations

import pytest
from ansible.playbook.task import Task

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.supervised_tasks import (
    replace_unsuitable,
    unsuitable_reason,
)


def task(**said):
    return Task.load(said)


@pytest.mark.parametrize("name", ["flush_handlers", "noop", "end_role", "reset_connection", "clear_facts"])
def test_what_is_about_one_tier_stays_as_it_is(name):
    assert unsuitable_reason(task(**{"ansible.builtin.meta": name})) == ""


@pytest.mark.parametrize(
    ("said", "why"),
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
def test_what_would_reach_other_tiers_fails_instead(said, why):
    unsuited = task(**said, when="some_condition")
    replace_unsuitable(unsuited)
    assert unsuited.action == "ansible.builtin.fail"
    assert why in unsuited.args["msg"]
    assert unsuited.when == ["some_condition"]


def test_what_waits_for_other_tiers_or_a_debugger_does_not():
    suited = task(command="true", throttle=1, debugger="on_failed")
    replace_unsuitable(suited)
    assert (suited.action, suited.throttle, suited.debugger) == ("command", 0, "never")
