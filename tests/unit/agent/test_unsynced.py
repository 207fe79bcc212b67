"""Commands of a real agent do not wait for the disk where no process can get more rights."""

from __future__ import annotations

import os
import platform
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.inside import unsynced

from .conftest import PYTHONS

#: Prints what syncing a pipe gives. The kernel rejects it.
SYNC = """
import os
try:
    print(os.fsync(os.pipe()[0]))
except OSError as error:
    print(error.strerror)
"""
SYNCED, UNSYNCED = b"Invalid argument\n", b"None\n"
ALLOWED, SUCCEEDED = 0x7FFF0000, 0x00050000
CONFINED = ("setpriv", "--no-new-privs")


def sync(agent, user=""):
    """Sync in a child process of a command."""
    argv = ["sh", "-c", '"$1" -c "$2"; true', "sh", agent.python if not user else "/usr/bin/python3", SYNC]
    result = agent.run({"do": "exec", "argv": argv, "env": {}, "user": user})
    assert (result.code, result.stderr) == (0, b"")
    return result.stdout


@pytest.mark.parametrize("python", [PYTHONS[0], PYTHONS[-1]])
def test_commands_in_a_confined_container_do_not_wait_for_the_disk(start, python, tmp_path):
    agent = start(python, wrapper=CONFINED)
    assert agent.about["waits_for_disk"] == ""
    assert sync(agent) == UNSYNCED
    file = tmp_path / "file"
    argv = ["sh", "-c", 'echo written >"$1" && sync && sync "$1" && cat "$1"', "sh", str(file)]
    result = agent.run({"do": "exec", "argv": argv, "env": {}, "user": ""})
    assert (result.code, result.stdout, file.read_text()) == (0, b"written\n", "written\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes somebody else")
def test_commands_of_other_users_do_not_wait_either(start):
    assert sync(start(wrapper=CONFINED), user="4711") == UNSYNCED


def test_commands_wait_where_setuid_programs_get_more_rights(an_agent):
    """The filter needs ``no_new_privs``, which would take these rights away."""
    assert an_agent.about["waits_for_disk"] == "its processes may get more rights"
    assert sync(an_agent) == SYNCED


def test_a_machine_whose_system_calls_are_not_known(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert unsynced.ignore_syncs() == "the system calls of riscv64 are not known"


def decide(program, architecture, number):
    """Run a filter as the kernel does, and return its result."""
    instructions = list(struct.iter_unpack("HBBI", program))
    data = {0: number, 4: architecture}
    position, value = 0, 0
    while True:
        code, if_true, if_false, operand = instructions[position]
        position += 1
        if code == 0x20:
            value = data[operand]
        elif code == 0x15:
            position += if_true if value == operand else if_false
        else:
            assert code == 0x06
            return operand


@pytest.mark.parametrize("machine", sorted(unsynced._SYSTEM_CALLS))
def test_a_filter_changes_exactly_the_listed_system_calls(machine):
    architecture, numbers = unsynced._SYSTEM_CALLS[machine]
    program = unsynced._filter(architecture, numbers)
    changed = {number for number in range(600) if decide(program, architecture, number) == SUCCEEDED}
    assert changed == set(numbers)


@given(st.sampled_from(sorted(unsynced._SYSTEM_CALLS)), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_filter_changes_nothing_of_other_architectures(machine, architecture, number):
    own, numbers = unsynced._SYSTEM_CALLS[machine]
    expected = SUCCEEDED if architecture == own and number in numbers else ALLOWED
    assert decide(unsynced._filter(own, numbers), architecture, number) == expected
