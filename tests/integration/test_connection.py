"""What a role may do through the connection: the ways in which Ansible uses one, and what is left behind."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from ansible.module_utils.common.text import formatters

from .containers import PYTHON, Playbook, Target, build_container, plain_container, run_inside

DATA = Path(__file__).parent / "connection"

#: Differs between two runs of anything, or says where Ansible runs.
ANYTHING = {
    "ansible_job_id", "atime", "cache_update_time", "ctime", "delta", "end", "finished_on", "inode", "invocation",
    "jid", "mtime", "results_file", "start", "dev", "block_size", "blocks", "nlink", "version", "device_type", "diff",
    "dest",
    "elapsed", "child_pid", "frame", "ansible_python_version", "exception", "warnings", "cache_updated", "stdout_lines",
    "stderr_lines", "src", "attempts", "module_stdout",
}  # fmt: skip


#: Names that Ansible and its modules make up.
TEMPORARY = re.compile(r"ansible-tmp-[\d.-]+|\.ansible_tmp\w{8}")


@pytest.fixture
def target(python_image: str, engine: docker.DockerClient, playbook: Playbook) -> Iterator[Target]:
    """A build container."""
    with build_container(engine, playbook, python_image) as made:
        yield made


@pytest.fixture(scope="session")
def expected(
    python_image: str, engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The report of the behaviour playbook over `local` in a plain container."""
    folder = prepare(tmp_path_factory.mktemp("local"))
    variables = variables_of(folder) | {"ansible_connection": "local", "ansible_pipelining": True}
    with plain_container(engine, python_image, folder) as plain:
        (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": {"test": variables}}}))
        run = run_inside(plain, folder, "behaviour.yml", "--inventory", "inventory.json")
        return report_of(folder, run.output)


def prepare(folder: Path) -> Path:
    """Lay out the behaviour playbook with its modules, and files for it to work on."""
    shutil.copytree(DATA, folder, dirs_exist_ok=True)
    overridden = folder / "module_utils/common/text/formatters.py"
    overridden.parent.mkdir(parents=True)
    overridden.write_text(Path(formatters.__file__).read_text() + "\nMARK = 'overridden'\n")
    scratch = folder / "scratch"
    (scratch / "folder/deep").mkdir(parents=True)
    (scratch / "folder/deep/one").write_text("one")
    (scratch / "folder/two").write_bytes(bytes(range(256)))
    (scratch / "bytes.bin").write_bytes(bytes(range(256)) * 12_000)
    with tarfile.open(scratch / "archive.tar", "w") as tar:
        entry = tarfile.TarInfo("unpacked/file")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"hello"))
    return folder


def variables_of(folder: Path) -> dict[str, Any]:
    return {
        "scratch": str(folder / "scratch"),
        "report": str(folder / "report.json"),
        "interpreter": PYTHON,
        "ansible_python_interpreter": PYTHON,
        "ansible_remote_tmp": "/dev/tierwright",
    }


def report_of(folder: Path, output: str) -> dict[str, Any]:
    assert (folder / "report.json").exists(), output
    told: dict[str, Any] = json.loads((folder / "report.json").read_text().replace(str(folder), "FOLDER"))
    fetched = (folder / "scratch/fetched.bin").read_bytes()
    assert fetched == (folder / "scratch/bytes.bin").read_bytes()
    return {key: comparable(value) for key, value in told.items()}


def comparable(value: Any) -> Any:
    """A result without what differs between any two runs."""
    if isinstance(value, dict):
        return {key: comparable(each) for key, each in value.items() if key not in ANYTHING}
    if isinstance(value, list):
        return [comparable(each) for each in value]
    return TEMPORARY.sub("TEMPORARY", value) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("python_is", "engine_is"),
    [("the image's own", "local"), pytest.param("mounted", "remote", marks=pytest.mark.once)],
)
def test_everything_is_as_over_local_in_a_plain_container(target, expected, tmp_path, remote, engine_is, python_is):
    folder = prepare(tmp_path)
    environment = CONFIG if engine_is == "local" else {**CONFIG, "DOCKER_HOST": remote.address}
    python = PYTHON if python_is == "the image's own" else target.python
    arguments = target.inventory(folder, {**variables_of(folder), "ansible_python_interpreter": python})
    found = report_of(folder, target.playbook("behaviour.yml", *arguments, cwd=folder, env=environment).output)
    assert sorted(found) == sorted(expected)
    differ = {name: (found[name], value) for name, value in expected.items() if found[name] != value}
    assert differ == {}
    # Equal to each other could also mean that both are wrong.
    assert found["status"]["rc"] == 7
    assert found["become_sudo"]["stdout"].split() == ["worker", "worker", "games", "/home/worker", "kept"]
    assert found["other_utils"]["mark"] == "overridden"
    assert found["remote_tmp_script"]["stdout"].split() == ["there"]
    failing = {name for name, value in found.items() if value.get("failed")}
    # Bytes that are no text are a module's failure to some versions of ansible-core.
    assert failing - {"bytes_out"} == EXPECTED_FAILURES


def test_what_needs_an_interpreter_of_its_own_says_so(target, tmp_path):
    tasks = """
- name: What an interpreter reads when it starts
  ansible.builtin.command: "true"
  environment: {LANG: C.UTF-8}
- name: The same interpreter by another way, as in a virtual environment
  ansible.builtin.file: {src: /usr/bin/python3, dest: /usr/local/bin/python3, state: link}
- name: Another interpreter
  ansible.builtin.command: "true"
  vars: {ansible_python_interpreter: /usr/local/bin/python3}
- name: Another user
  ansible.builtin.command: "true"
  become: true
  become_user: nobody
- name: On a fork
  ansible.builtin.command: "true"
  environment: {WORD: "it's"}
"""
    verbose = {**CONFIG, "ANSIBLE_VERBOSITY": "3"}
    told = target.play(tmp_path, tasks, {"ansible_python_interpreter": PYTHON}, env=verbose).expect().output
    assert "LANG must be set when it starts" in told
    assert "/usr/local/bin/python3 is started for this module: the agent runs on /usr/bin/python3" in told
    assert "a shell is started for this module" in told
    assert told.count("is started for this module") == 3
    assert "started the agent; it is reached through its own socket" in told
    brings = "- name: Another part of module_utils\n  other_utils:"
    brought = target.play(prepare(tmp_path), brings, {"ansible_python_interpreter": PYTHON}, env=verbose).expect()
    assert "it contains a different ansible/module_utils/common/text/formatters.py" in brought.output


def test_where_there_is_no_interpreter_the_engine_runs_commands(target, tmp_path):
    tasks = """
- name: Without Python
  ansible.builtin.raw: echo raw; exit 3
  register: raw
  failed_when: raw.rc != 3 or raw.stdout | trim != 'raw'
- name: A script too
  ansible.builtin.script: hello.sh
  register: script
  failed_when: script.stdout | trim != 'hello'
- name: A module that cannot be run
  ansible.builtin.ping:
  ignore_errors: true
  register: pinged
  failed_when: pinged.rc | default(0) == 0
"""
    (tmp_path / "hello.sh").write_text("#!/bin/sh\necho hello\n")
    variables = {"ansible_python_interpreter": "/nonexistent/python3"}
    told = target.play(tmp_path, tasks, variables, env={**CONFIG, "ANSIBLE_VERBOSITY": "3"}).expect().output
    assert "the engine runs this command: build container" in told
    assert "has no Python at /nonexistent/python3" in told
    assert "ok=3" in told


#: Waits first: the agent ends the last task's connection and forks the next task's child in its own time.
COUNT = """
- name: Count what is there
  ansible.builtin.raw: >-
    sleep 1; ls -d /proc/[0-9]* | wc -l; for each in /proc/[0-9]*; do
    if tr '\\0' ' ' < $each/cmdline | grep -q tierwright_agent; then ls $each/fd; fi; done | wc -l;
    find /tmp /var/tmp /dev/shm /dev/tierwright /root /run | wc -l
  register: {name}
"""


@pytest.mark.once
def test_two_hundred_tasks_leave_nothing_behind(target, tmp_path):
    kinds = [
        "ansible.builtin.command: 'true'",
        "ansible.builtin.copy: {content: '%d', dest: /etc/file, mode: '0644'}",
        "ansible.builtin.raw: 'true'",
        "ansible.builtin.shell: 'exit 0'",
        "ansible.builtin.script: nothing.sh",
    ]
    (tmp_path / "nothing.sh").write_text("#!/bin/sh\n")
    warm = "".join(f"- name: Warm up\n  {kind.replace('%d', 'w')}\n" for kind in kinds)
    many = "".join(
        f"- name: Task {number}\n  {kinds[number % 5].replace('%d', str(number))}\n" for number in range(200)
    )
    # Something of the warming up may be ending still when it is counted for the first time.
    no_more = " and ".join(
        f"after.stdout_lines[{line}] | int <= before.stdout_lines[{line}] | int" for line in range(3)
    )
    rest = f"  retries: 20\n  delay: 1\n  until: {no_more}\n"  # what ends takes its time
    same = f"""
- name: Compare
  ansible.builtin.assert: {{that: "{no_more}", success_msg: "{{{{ before.stdout_lines + after.stdout_lines }}}}"}}
"""
    count = COUNT.lstrip()
    play = warm + count.format(name="before") + many + count.format(name="after") + rest + same.lstrip()
    done = target.play(tmp_path, play, env={**CONFIG, "ANSIBLE_REMOTE_TMP": "/dev/tierwright"})
    assert done.code == 0, done.output[-3000:]
    assert "ok=208" in done.output


@pytest.mark.once
def test_what_is_large_goes_in_and_out_without_being_held_in_memory(target, tmp_path, environment):
    size = 600 << 20
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
        file.seek(size // 2)
        file.write(b"in the middle")
    tasks = f"""
- name: In
  ansible.builtin.copy: {{src: large, dest: /srv/large, mode: "0644"}}
- name: Out
  ansible.builtin.fetch: {{src: /srv/large, dest: {tmp_path}/fetched, flat: true, validate_checksum: true}}
- name: Most memory that the agent ever had
  ansible.builtin.shell: >-
    for each in /proc/[0-9]*; do
    if tr '\\0' ' ' < $each/cmdline | grep -q tierwright_agent; then grep VmHWM $each/status; fi; done
  register: most
- name: Compare
  ansible.builtin.assert:
    that: "(most.stdout_lines | map('split') | map(attribute=1) | map('int') | max) < 200000"
    fail_msg: "{{{{ most.stdout_lines }}}}"
"""
    with target.start_play(tmp_path, tasks, {**environment, "ANSIBLE_REMOTE_TMP": "/srv/tmp"}) as play:
        output = play.stdout.read()
        _pid, status, usage = os.wait4(play.pid, 0)
        play.returncode = os.waitstatus_to_exitcode(status)
    assert play.returncode == 0, output[-3000:]
    assert (tmp_path / "fetched").stat().st_size == size
    assert usage.ru_maxrss < 500_000


CONFIG = {"ANSIBLE_CONFIG": str(Path(__file__).parents[2] / "ansible.cfg")}
EXPECTED_FAILURES = {
    *("status", "status_255", "killed", "terminated", "missing", "raw", "async_waited", "async_late", "timed_out"),
    *("script_missing", "copy_refused", "fetch_missing", "broken", "no_json", "no_interpreter"),
}
