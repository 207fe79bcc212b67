from __future__ import annotations

import sys

import pytest
from ansible import context
from ansible.utils.context_objects import CLIArgs

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import command, read_waiting


@pytest.mark.parametrize(("given", "patience"), [(None, 3600), ("0", 0), (0, 0), ("1.5", 1.5), ("inf", float("inf"))])
def test_how_long_a_run_waits(given, patience):
    assert read_waiting({"lock_timeout": given}, print).timeout == patience
    assert read_waiting({}, print).timeout == 3600


@pytest.mark.parametrize("given", ["soon", "-1", "", [], "nan"])
def test_what_is_no_number_of_seconds_is_told(given):
    with pytest.raises(ChainError, match=r"tier_lock_timeout is .*; expected seconds, or 0"):
        read_waiting({"lock_timeout": given}, print)


@pytest.mark.parametrize(
    ("program", "args", "told"),
    [
        ("/usr/bin/ansible-playbook", ("build-chain.yml", "more.yml"), "ansible-playbook build-chain.yml more.yml"),
        ("ansible", "all", "ansible all"),
    ],
)
def test_a_command_is_told_without_its_options(monkeypatch, program, args, told):
    monkeypatch.setattr(sys, "argv", [program, "-e", "secret=canary"])
    monkeypatch.setattr(context, "CLIARGS", CLIArgs({"args": args, "extra_vars": ("secret=canary",)}))
    assert command() == told
