"""Ansible's real modules on forks of a real agent, on every Python that they run on."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ansible import release

#: Oldest Python that modules of an ansible-core run on (support matrix in Ansible's documentation).
OLDEST_FOR_MODULES = {"2.19": (3, 8), "2.20": (3, 9), "2.21": (3, 9)}[".".join(release.__version__.split(".")[:2])]

#: A module that says what it finds, and leaves as much as it can.
NOSY = """
import json, os, sys, atexit, signal
from ansible.module_utils.basic import AnsibleModule
import ansible.module_utils.basic
def main():
    module = AnsibleModule(argument_spec=dict(fail=dict(type="str")))
    if module.params["fail"]:
        raise FileNotFoundError(2, "nothing", module.params["fail"])
    found = dict(
        environment=os.environ.get("LEFT"), modules="left_behind" in sys.modules, umask=os.umask(0o77), cwd=os.getcwd(),
        mark=hasattr(ansible.module_utils.basic, "left_behind"), path="/left/behind" in sys.path, argv=len(sys.argv),
        alarm=signal.getsignal(signal.SIGALRM) == signal.SIG_DFL, version=str(module.ansible_version),
        name=__name__, pid=os.getpid(), file=os.path.basename(__file__),
    )
    os.environ["LEFT"] = "x"
    os.chdir("/usr")
    sys.modules["left_behind"] = sys
    ansible.module_utils.basic.left_behind = 1
    sys.path.append("/left/behind")
    signal.signal(signal.SIGALRM, print)
    module.exit_json(**found)
if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Programs of modules by name."""
    nosy = tmp_path_factory.mktemp("library") / "nosy.py"
    nosy.write_text(NOSY)
    words = {
        "ping": 'ping=:{"data": "é"}',
        "crash": 'ping=:{"data": "crash"}',
        "command": 'command=:{"_raw_params": "cat /proc/self/environ", "stdin": null}',
        "nosy": f"nosy={nosy}:{{}}",
        "failing": f'nosy={nosy}:{{"fail": "/a/file"}}',
        "wrong": 'ping=:{"no_such_option": 1}',
    }
    maker = Path(__file__).with_name("programs.py")
    done = subprocess.run([sys.executable, maker, *words.values()], capture_output=True, check=True)
    written = json.loads(done.stdout)
    return {name: base64.b64decode(written[word]) for name, word in words.items()}


def run(agent, program, **more):
    if tuple(map(int, agent.version.split("."))) < OLDEST_FOR_MODULES:
        pytest.skip(f"modules of ansible-core {release.__version__} need a later Python")
    return agent.run({"do": "module", "interpreter": agent.python, "env": {}, "user": "", **more}, program)


def afresh(agent, program):
    """The same in an interpreter of its own."""
    return subprocess.run([agent.python], input=program, capture_output=True, check=False)


def test_a_module_runs_on_a_fork(agent, programs):
    done = run(agent, programs["ping"])
    assert (done.code, done.stderr, done.notes) == (0, b"", [])
    assert json.loads(done.stdout)["ping"] == "é"


def test_a_module_that_runs_a_command(agent, programs):
    done = run(agent, programs["command"], env={"WILD": "a 'b'\n$c"})
    assert (done.code, done.notes) == (0, [])
    result = json.loads(done.stdout)
    assert result["rc"] == 0
    assert "WILD=a 'b'\n$c" in result["stdout"].split("\0")


@pytest.mark.parametrize("name", ["crash", "failing", "wrong"])
def test_it_ends_as_in_an_interpreter_of_its_own(an_agent, programs, name):
    done, other = run(an_agent, programs[name]), afresh(an_agent, programs[name])
    assert done.notes == []
    assert done.code == other.returncode
    assert without_traceback(done.stdout) == without_traceback(other.stdout)
    assert (b"Error" in done.stderr) == (b"Error" in other.stderr)


def without_traceback(output):
    """The module's result; tracebacks name files of temporary folders."""
    result = json.loads(output) if output else {}
    return {key: value for key, value in result.items() if key not in {"exception", "pid"}}


def test_nothing_leaks_from_one_run_to_the_next(agent, programs):
    first, second = (json.loads(run(agent, programs["nosy"]).stdout) for _ in range(2))
    assert first.pop("pid") != second.pop("pid")
    assert first == second
    assert (first["environment"], first["modules"], first["mark"], first["path"]) == (None, False, False, False)
    fresh = json.loads(afresh(agent, programs["nosy"]).stdout)
    fresh.pop("pid")
    assert first == fresh


def test_a_program_that_is_no_module_gets_an_interpreter(an_agent):
    done = run(an_agent, b"import sys; print(sys.argv, __name__); sys.exit(5)")
    assert (done.code, done.stdout) == (5, b"[''] __main__\n")
    assert done.notes == [
        f"{an_agent.python} is started for this module: its program does not have the form that the agent expects"
    ]


def changed(program, wanted):
    """The program with one byte more in one file of the archive inside."""
    found = re.search(rb"""zip_data=['"]([A-Za-z0-9+/=]+)['"]""", program)
    source, target = zipfile.ZipFile(io.BytesIO(base64.b64decode(found[1]))), io.BytesIO()
    with source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as changed_archive:
        for each in source.infolist():
            changed_archive.writestr(each, source.read(each) + b"#" * (each.filename == wanted))
    return program[: found.start(1)] + base64.b64encode(target.getvalue()) + program[found.end(1) :]


def test_a_module_with_another_file_of_module_utils_gets_an_interpreter(an_agent, programs):
    name = "ansible/module_utils/common/validation.py"
    done = run(an_agent, changed(programs["ping"], name))
    assert done.notes == [f"{an_agent.python} is started for this module: it contains a different {name}"]
    assert json.loads(done.stdout)["ping"] == "é"


def test_a_module_whose_archive_is_broken_gets_an_interpreter(an_agent, programs):
    done = run(an_agent, re.sub(rb"(zip_data=['\"])[A-Za-z0-9+/=]{40}", rb"\1AAAA", programs["ping"]))
    assert len(done.notes) == 1
    assert "the archive in its program cannot be read" in done.notes[0]
    assert done.code != 0


def test_a_variable_that_is_read_at_the_start_needs_an_interpreter(an_agent, programs):
    done = run(an_agent, programs["ping"], env={"OTHER": "1", "LANG": "C.UTF-8"})
    assert done.notes == [f"{an_agent.python} is started for this module: LANG must be set when it starts"]
    assert json.loads(done.stdout)["ping"] == "é"


def test_another_interpreter_is_started(an_agent, programs, tmp_path):
    link = tmp_path / Path(an_agent.python).name
    link.symlink_to(an_agent.python)
    done = run(an_agent, programs["ping"], interpreter=str(link))
    assert len(done.notes) == 1
    assert done.notes[0].startswith(f"{link} is started for this module: the agent runs on ")
    assert json.loads(done.stdout)["ping"] == "é"


def test_an_interpreter_that_is_not_there_is_told_as_a_shell_tells_it(an_agent, programs):
    done = run(an_agent, programs["ping"], interpreter="/no/such/python3")
    assert (done.code, done.stdout) == (127, b"")
    assert b"/no/such/python3: No such file or directory" in done.stderr  # Ansible looks for these words


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes somebody else")
def test_a_module_of_another_user(agent, programs):
    done = run(agent, programs["command"], user="4711")
    assert done.code == 0, done.stderr
    assert done.notes == []
    assert "HOME=/" in json.loads(done.stdout)["stdout"].split("\0")
