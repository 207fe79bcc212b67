"""What the action plugins read from their arguments and from the command line."""

from __future__ import annotations

import sys

import pytest
from ansible import context
from ansible.utils.context_objects import CLIArgs

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import command, read_waiting


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
    ],
)
def test_the_recorded_command_has_no_options(monkeypatch, program, args, expected):
    monkeypatch.setattr(sys, "argv", [program, "-e", "secret=canary"])
    monkeypatch.setattr(context, "CLIARGS", CLIArgs({"args": args, "extra_vars": ("secret=canary",)}))
    assert command() == expected
