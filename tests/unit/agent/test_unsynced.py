"""Package managers on forks of a real agent: they and their child processes do not wait for the disk."""

from __future__ import annotations

import base64
import io
import json
import os
import platform
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.inside import unsynced

from .test_modules import run

#: A module that reports what syncing a pipe gives, for itself and for a child process. The kernel rejects it.
SYNCING = """
import os, subprocess, sys
from ansible.module_utils.basic import AnsibleModule
PROGRAM = '''
import os
try:
    print(os.fsync(os.pipe()[0]), end="")
except OSError as error:
    print(error.strerror, end="")
'''
def main():
    module = AnsibleModule(argument_spec={})
    try:
        own = str(os.fsync(os.pipe()[0]))
    except OSError as error:
        own = error.strerror
    with open("/proc/self/status") as file:
        status = dict(line.split(":") for line in file)
    child = ""
    if os.access(sys.executable, os.X_OK):
        child = subprocess.check_output([sys.executable, "-c", PROGRAM], universal_newlines=True)
    module.exit_json(own=own, child=child, no_new_privileges=int(status["NoNewPrivs"]))
if __name__ == "__main__":
    main()
"""
SYNCED, UNSYNCED = "Invalid argument", "None"
NAMES = ["apt", "dnf", "dnf5", "yum", "command", "apt_repository"]
ALLOWED, SUCCEEDED = 0x7FFF0000, 0x00050000

as_root = pytest.mark.skipif(os.getuid() != 0, reason="package managers run as root")


@pytest.fixture(scope="module")
def syncing(tmp_path_factory):
    """The program of the module above, by the name that it has, as if it were a module of ansible-core."""
    library, words = tmp_path_factory.mktemp("library"), []
    for name in NAMES:
        (library / f"{name}.py").write_text(SYNCING)
        words.append(f"{name}={library}/{name}.py:{{}}")
    script = Path(__file__).with_name("programs.py")
    process = subprocess.run([sys.executable, script, *words], capture_output=True, check=True)
    programs = {word.partition("=")[0]: base64.b64decode(text) for word, text in json.loads(process.stdout).items()}
    return {name: moved_to_core(program) for name, program in programs.items()}


def moved_to_core(program):
    """The program with its module in ``ansible.modules``. Those of other folders are in ``ansible.legacy``."""
    match = re.search(rb"zip_data='([A-Za-z0-9+/=]+)'", program)
    source, target = zipfile.ZipFile(io.BytesIO(base64.b64decode(match[1]))), io.BytesIO()
    with source, zipfile.ZipFile(target, "w") as moved:
        for name in source.namelist():
            moved.writestr(name.replace("ansible/legacy/", "ansible/modules/"), source.read(name))
    before = program[: match.start(1)].replace(b"module_fqn='ansible.legacy.", b"module_fqn='ansible.modules.")
    return before + base64.b64encode(target.getvalue()) + program[match.end(1) :]


def answer(result):
    assert (result.code, result.stderr) == (0, b"")
    told = json.loads(result.stdout)
    return told["own"], told["child"], told["no_new_privileges"]


@as_root
@pytest.mark.parametrize("name", NAMES[:4])
def test_a_package_manager_and_its_children_do_not_wait_for_the_disk(an_agent, syncing, name):
    result = run(an_agent, syncing[name])
    assert answer(result) == (UNSYNCED, UNSYNCED, 1)
    assert result.notes == []


@as_root
@pytest.mark.parametrize("name", NAMES[4:])
def test_other_modules_do_even_after_a_package_manager(an_agent, syncing, name):
    run(an_agent, syncing["apt"])
    assert answer(run(an_agent, syncing[name])) == (SYNCED, SYNCED, 0)


@as_root
def test_a_package_manager_in_an_interpreter_of_its_own_does_not_wait_either(an_agent, syncing, tmp_path):
    link = tmp_path / Path(an_agent.python).name
    link.symlink_to(an_agent.python)
    result = run(an_agent, syncing["apt"], interpreter=str(link))
    assert answer(result) == (UNSYNCED, UNSYNCED, 1)


@as_root
def test_a_different_user_keeps_the_right_to_run_setuid_programs(an_agent, syncing):
    result = run(an_agent, syncing["apt"], user="4711")
    assert answer(result) == (SYNCED, "", 0)
    assert result.notes == ["this module waits for the disk: it does not run as root"]


def test_a_machine_whose_system_calls_are_not_known(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert unsynced.ignore_syncs() == "the system calls of riscv64 are not known"


@pytest.mark.parametrize(
    "call",
    [
        b"",
        b"ansible_module='apt',\nmodule_fqn='ansible.modules.ping',\n",
        b"module_fqn='ansible.legacy.apt',\n",
        b"module_fqn='ansible_collections.a.b.plugins.modules.apt',\n",
        b'params=\'{"ANSIBLE_MODULE_ARGS": {"text": "module_fqn=\\\'ansible.modules.apt\\\',"}}\',\n',
    ],
)
def test_modules_that_only_resemble_a_package_manager(call):
    assert not unsynced.manages_packages(call)


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
