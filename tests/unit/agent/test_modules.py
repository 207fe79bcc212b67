"""Ansible's real modules on forks of a real agent, on the Pythons that they support."""

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

from .conftest import OLDEST, VERSIONS

#: The oldest Python for modules of an ansible-core (support matrix in Ansible's documentation).
OLDEST_FOR_MODULES = {"2.19": (3, 8), "2.20": (3, 9), "2.21": (3, 9)}[".".join(release.__version__.split(".")[:2])]

#: A module that reports the state of its process, and then changes as much of it as it can.
NOSY = """
import json, os, sys, atexit, signal
from ansible.module_utils.basic import AnsibleModule
import ansible.module_utils.basic
def main():
    module = AnsibleModule(argument_spec=dict(fail=dict(type="str")))
    if module.params["fail"]:
        raise FileNotFoundError(2, "nothing", module.params["fail"])
    state = dict(
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
    module.exit_json(**state)
if __name__ == "__main__":
    main()
"""

#: A module that reports where code comes from that is not imported in advance.
CURIOUS = """
from ansible.module_utils.basic import AnsibleModule
import ansible.module_utils.facts.timeout as rare
def main():
    AnsibleModule(argument_spec={}).exit_json(loaded_from=rare.__spec__.origin, name=rare.timeout.__code__.co_filename)
if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The programs of modules, by name."""
    nosy, curious = (tmp_path_factory.mktemp("library") / name for name in ("nosy.py", "curious.py"))
    nosy.write_text(NOSY)
    curious.write_text(CURIOUS)
    modules = {
        "ping": 'ping=:{"data": "é"}',
        "crash": 'ping=:{"data": "crash"}',
        "command": 'command=:{"_raw_params": "cat /proc/self/environ", "stdin": null}',
        "nosy": f"nosy={nosy}:{{}}",
        "failing": f'nosy={nosy}:{{"fail": "/a/file"}}',
        "wrong": 'ping=:{"no_such_option": 1}',
        "curious": f"curious={curious}:{{}}",
        "facts": 'setup=:{"gather_subset": ["!all", "python", "pkg_mgr"]}',
    }
    script = Path(__file__).with_name("programs.py")
    process = subprocess.run([sys.executable, script, *modules.values()], capture_output=True, check=True)
    encoded = json.loads(process.stdout)
    return {name: base64.b64decode(encoded[word]) for name, word in modules.items()}


def run(agent, program, **more):
    if tuple(map(int, agent.version.split("."))) < OLDEST_FOR_MODULES:
        pytest.skip(f"modules of ansible-core {release.__version__} need a later Python")
    return agent.run({"do": "module", "interpreter": agent.python, "env": {}, "user": "", **more}, program)


def run_alone(agent, program):
    """Run a program in an interpreter of its own."""
    return subprocess.run([agent.python], input=program, capture_output=True, check=False)


def test_a_module_runs_on_a_fork(agent, programs):
    result = run(agent, programs["ping"])
    assert (result.code, result.stderr, result.notes) == (0, b"", [])
    assert json.loads(result.stdout)["ping"] == "é"


def test_a_module_can_run_a_command(agent, programs):
    result = run(agent, programs["command"], env={"WILD": "a 'b'\n$c"})
    assert (result.code, result.notes) == (0, [])
    module_result = json.loads(result.stdout)
    assert module_result["rc"] == 0
    assert "WILD=a 'b'\n$c" in module_result["stdout"].split("\0")


@pytest.mark.parametrize("name", ["crash", "failing", "wrong"])
def test_a_module_fails_as_in_its_own_interpreter(an_agent, programs, name):
    result, expected = run(an_agent, programs[name]), run_alone(an_agent, programs[name])
    assert result.notes == []
    assert result.code == expected.returncode
    assert without_traceback(result.stdout) == without_traceback(expected.stdout)
    assert (b"Error" in result.stderr) == (b"Error" in expected.stderr)


def without_traceback(output):
    """The module's result; tracebacks name files of temporary folders."""
    result = json.loads(output) if output else {}
    return {key: value for key, value in result.items() if key not in {"exception", "pid"}}


@pytest.mark.parametrize("python", ["the controller's", "the oldest"])
def test_code_that_few_modules_need_is_not_compiled_if_the_agent_has_byte_code(shared, programs, python):
    agent = shared(sys.executable if python == "the controller's" else OLDEST)
    results = [json.loads(run(agent, programs["curious"]).stdout) for _ in range(2)]
    for result in results:
        archive, path = result["loaded_from"].split(".zip/")
        if VERSIONS[agent.python] == VERSIONS[sys.executable]:
            assert (Path(archive).name, path) == ("agent", "ansible/module_utils/facts/timeout.pyc")
        else:
            assert (Path(archive).name[-8:], path) == ("_payload", "ansible/module_utils/facts/timeout.py")
        assert result["name"].endswith("ansible/module_utils/facts/timeout.py")


def test_facts_are_those_of_an_interpreter_of_its_own(an_agent, programs):
    results = [run(an_agent, programs["facts"]) for _ in range(2)]
    assert [(result.stderr, result.notes) for result in results] == [(b"", [])] * 2
    first, second, alone = (
        json.loads(output)["ansible_facts"]
        for output in (*(result.stdout for result in results), run_alone(an_agent, programs["facts"]).stdout)
    )
    changing = {"ansible_date_time", "ansible_env"}
    assert first.keys() == second.keys() == alone.keys() > changing
    for name in alone.keys() - changing:
        assert first[name] == second[name] == alone[name]


def test_nothing_leaks_from_one_run_to_the_next(agent, programs):
    first, second = (json.loads(run(agent, programs["nosy"]).stdout) for _ in range(2))
    assert first.pop("pid") != second.pop("pid")
    assert first == second
    assert (first["environment"], first["modules"], first["mark"], first["path"]) == (None, False, False, False)
    alone = json.loads(run_alone(agent, programs["nosy"]).stdout)
    alone.pop("pid")
    assert first == alone


def test_a_program_that_is_not_a_module_gets_its_own_interpreter(an_agent):
    result = run(an_agent, b"import sys; print(sys.argv, __name__); sys.exit(5)")
    assert (result.code, result.stdout) == (5, b"[''] __main__\n")
    assert result.notes == [
        f"{an_agent.python} is started for this module: its program does not have the form that the agent expects"
    ]


def with_changed_file(program, file_name):
    """The program with one more byte in one file of the archive inside."""
    match = re.search(rb"""zip_data=['"]([A-Za-z0-9+/=]+)['"]""", program)
    source, target = zipfile.ZipFile(io.BytesIO(base64.b64decode(match[1]))), io.BytesIO()
    with source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as changed_archive:
        for member in source.infolist():
            changed_archive.writestr(member, source.read(member) + b"#" * (member.filename == file_name))
    return program[: match.start(1)] + base64.b64encode(target.getvalue()) + program[match.end(1) :]


def test_a_module_with_changed_module_utils_gets_its_own_interpreter(an_agent, programs):
    name = "ansible/module_utils/common/validation.py"
    result = run(an_agent, with_changed_file(programs["ping"], name))
    assert result.notes == [f"{an_agent.python} is started for this module: it contains a different {name}"]
    assert json.loads(result.stdout)["ping"] == "é"


def test_a_module_with_a_broken_archive_gets_its_own_interpreter(an_agent, programs):
    result = run(an_agent, re.sub(rb"(zip_data=['\"])[A-Za-z0-9+/=]{40}", rb"\1AAAA", programs["ping"]))
    assert len(result.notes) == 1
    assert "the archive in its program cannot be read" in result.notes[0]
    assert result.code != 0


def test_a_variable_that_python_reads_at_its_start_needs_its_own_interpreter(an_agent, programs):
    result = run(an_agent, programs["ping"], env={"OTHER": "1", "LANG": "C.UTF-8"})
    assert result.notes == [f"{an_agent.python} is started for this module: LANG must be set when it starts"]
    assert json.loads(result.stdout)["ping"] == "é"


def test_a_different_interpreter_is_started(an_agent, programs, tmp_path):
    link = tmp_path / Path(an_agent.python).name
    link.symlink_to(an_agent.python)
    result = run(an_agent, programs["ping"], interpreter=str(link))
    assert len(result.notes) == 1
    assert result.notes[0].startswith(f"{link} is started for this module: the agent runs on ")
    assert json.loads(result.stdout)["ping"] == "é"


def test_a_missing_interpreter_gives_the_error_of_a_shell(an_agent, programs):
    result = run(an_agent, programs["ping"], interpreter="/no/such/python3")
    assert (result.code, result.stdout) == (127, b"")
    assert b"/no/such/python3: No such file or directory" in result.stderr  # Ansible looks for these words


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes somebody else")
def test_a_module_runs_as_a_different_user(agent, programs):
    result = run(agent, programs["command"], user="4711")
    assert result.code == 0, result.stderr
    assert result.notes == []
    assert "HOME=/" in json.loads(result.stdout)["stdout"].split("\0")
