"""What the action plugins read from their arguments and from the command line."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.context_objects import CLIArgs

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    ChainError,
    ContractError,
    EngineUnavailableError,
    RunError,
    SealError,
    SourceError,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.chain_inventory import ChainInventory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    TierAction,
    command,
    read_waiting,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.tier_records import read_disturbance


@pytest.mark.parametrize(("value", "seconds"), [(None, 3600), ("0", 0), (0, 0), ("1.5", 1.5), ("inf", float("inf"))])
def test_the_lock_timeout_is_read_in_seconds(value, seconds):
    assert read_waiting({"lock_timeout": value}, print).timeout == seconds
    assert read_waiting({}, print).timeout == 3600


@pytest.mark.parametrize("value", ["soon", "-1", "", [], "nan"])
def test_an_invalid_lock_timeout_is_rejected(value):
    with pytest.raises(ChainError, match=r"tier_lock_timeout is .*; expected seconds, or 0"):
        read_waiting({"lock_timeout": value}, print)


@pytest.mark.parametrize(
    ("program", "args", "expected"),
    [
        ("/usr/bin/ansible-playbook", ("build-chain.yml", "more.yml"), "ansible-playbook build-chain.yml more.yml"),
        ("ansible", "all", "ansible all"),
        ("/usr/lib/python3/ansible/__main__.py", ("build-chain.yml",), "ansible-playbook build-chain.yml"),
    ],
)
def test_the_recorded_command_has_no_options(monkeypatch, program, args, expected):
    monkeypatch.setattr(sys, "argv", [program, "-e", "secret=canary"])
    monkeypatch.setattr(context, "CLIARGS", CLIArgs({"args": args, "extra_vars": ("secret=canary",)}))
    assert command() == expected


class Failing(TierAction):
    """An action that fails."""

    error: Exception

    def work(self, _name, _journal, _variables):
        raise self.error


@pytest.mark.parametrize(
    ("error", "disturbed"),
    [
        (ContractError("the image cannot be started"), False),
        (SealError("a socket is left"), False),
        (ChainError("tier_config is wrong"), False),
        (EngineUnavailableError("no engine answers"), True),
        (SourceError("the archive does not answer"), True),
        (RunError("the run ended"), True),
        (MemoryError("no memory"), True),
    ],
)
def test_errors_from_outside_of_a_tier_are_recorded_as_such(monkeypatch, tmp_path, error, disturbed):
    monkeypatch.setattr(ActionBase, "run", lambda *_arguments, **_options: {})
    action = Failing.__new__(Failing)
    action.error, action._task = error, SimpleNamespace(args={"run": str(tmp_path)})
    with pytest.raises(AnsibleError, match=str(error)):
        action.run(None, {"inventory_hostname": "web"})
    assert read_disturbance(Journal(tmp_path), "web") == (str(error) if disturbed else None)


@pytest.mark.parametrize(("run", "skip", "whole"), [((), (), True), (["web"], [], False), (["all"], ["web"], False)])
def test_roles_are_applied_in_part_with_tags(run, skip, whole):
    variables = {"hostvars": {}, "groups": {}, "ansible_play_hosts_all": []}
    inventory = ChainInventory({**variables, "ansible_run_tags": run, "ansible_skip_tags": skip})
    if whole:
        inventory.check_whole_roles()
        return
    with pytest.raises(ChainError, match="candidates cannot be tried with --tags or --skip-tags"):
        inventory.check_whole_roles()
