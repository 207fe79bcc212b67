# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests of the watcher's own image. It has no network here, so it cannot compare anything."""

from __future__ import annotations

import json

import pytest

#: A chain that follows the tier of another team, in a registry that nobody knows.
_FOLLOW = {"corebuild": {"tier_follow": {"image": "registry.invalid/ops/corebuild"}}}
_TIERS = {"vars": {"tier_chain": "shop", "watch_follow": True}, "children": {"team": {"hosts": _FOLLOW}}}
_INVENTORY = json.dumps({"tiers": _TIERS})
#: The tests cannot mount a project, so the container writes one.
_WATCH = 'printf %s "$INVENTORY" >/tmp/inventory.yml && exec tierwright watch -i /tmp/inventory.yml "$@"'


@pytest.fixture
def watch(start):
    """A function that starts the watcher of the inventory, with more arguments."""

    def watch(*arguments, **options):
        command = ["bash", "-c", _WATCH, "bash", *arguments]
        return start(command=command, env={"INVENTORY": _INVENTORY}, **options)

    return watch


def test_the_watcher_is_healthy_while_a_registry_does_not_answer(watch):
    started = watch()
    started.wait_healthy(timeout=50)
    users = {process.uid for process in started.processes()}
    assert users == {1001}
    assert "registry.invalid" in started.logs()
    stopped = started.stop(timeout=20)
    assert stopped.seconds < 10
    assert stopped.exit_code == 0


def test_any_user_of_group_0_can_run_the_watcher(watch):
    started = watch(user="12345:0")
    started.wait_healthy(timeout=50)
    assert {process.uid for process in started.processes()} == {12345}


def test_one_comparison_fails_if_a_registry_does_not_answer(watch):
    started = watch("--once")
    assert started.wait_ended(timeout=50) != 0
    assert "registry.invalid" in started.logs()


def test_a_missing_project_is_named(start):
    started = start()
    assert started.wait_ended(timeout=50) != 0
    assert "/srv/tierwright/inventory.yml" in started.logs()
