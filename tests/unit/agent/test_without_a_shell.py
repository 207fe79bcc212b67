"""Where the agent replaces a shell, the result must be the same."""

from __future__ import annotations

import shlex
import stat
import subprocess

import pytest
from ansible.plugins.shell.sh import ShellModule

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import client

NAME = "ansible-tmp-1795503010.2590-2535-79575538736346"


def lines(base):
    """The commands of Ansible's own shell plugin for a task with a file, in order."""
    shell, path = ShellModule(), f"{base}/{NAME}"
    return {
        "make": shell.mkdtemp(basefile=NAME, tmpdir=base),
        "allow": shell.chmod([f"{path}/", f"{path}/.source.txt"], "u+rwx"),
        "remove": shell.remove(f"{path}/", recurse=True),
    }


def request_for(script, tail=" && sleep 0"):
    return client.request("/bin/sh -c " + shlex.quote(script + tail), has_input=False)


def tree(folder):
    return {
        str(path.relative_to(folder)): (stat.filemode(path.stat().st_mode), path.is_file() and path.read_text())
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("base", ["deep/er", "there"])
def test_the_agent_does_the_same_as_a_shell(an_agent, tmp_path, base):
    outcomes = {}
    for runner in ("shell", "agent"):
        root = tmp_path / runner
        (root / "there").mkdir(parents=True, mode=0o755)
        for do, script in lines(str(root / base)).items():
            request = request_for(script)
            assert request["do"] == do
            if do == "allow":
                (root / base / NAME / ".source.txt").write_text("content")
                (root / base / NAME / ".source.txt").chmod(0o440)
            if runner == "agent":
                result = an_agent.run({**request, "user": ""})
                outcome = (result.code, bytes(result.stdout), bytes(result.stderr))
            else:
                process = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=False)
                outcome = (process.returncode, process.stdout, process.stderr)
            outcomes[runner, do] = (outcome[0], outcome[1].replace(str(root).encode(), b"ROOT"), outcome[2], tree(root))
    for do in ("make", "allow", "remove"):
        assert outcomes["agent", do] == outcomes["shell", do]


def test_a_folder_that_exists_or_cannot_be_created_is_an_error(an_agent, tmp_path):
    make = request_for(lines(str(tmp_path))["make"])
    assert an_agent.run({**make, "user": ""}).code == 0
    again = an_agent.run({**make, "user": ""})
    assert again.code == 1
    assert b"File exists" in again.stderr
    (tmp_path / "file").write_text("")
    assert an_agent.run({**request_for(lines(str(tmp_path / "file"))["make"]), "user": ""}).code == 1


def test_a_missing_folder_is_removed_without_error(an_agent, tmp_path):
    assert an_agent.run({**request_for(lines(str(tmp_path))["remove"]), "user": ""}).code == 0


@pytest.mark.parametrize(
    "script",
    [
        *(f"rm -f -r /tmp/{NAME}", "rm -f -r /etc/ > /dev/null 2>&1", f"rm -f -r ~/{NAME}/ > /dev/null 2>&1"),
        *(f"chmod u+rwx /tmp/{NAME} /etc/passwd", f"chmod 777 /tmp/{NAME}", f"chmod u+rwx '/a b/{NAME}'"),
        *(f"rm -f -r /tmp/$X/{NAME}/ > /dev/null 2>&1", f"rm -f -r /tmp/{NAME}/ > /dev/null 2>&1; id"),
        lines("~/.ansible/tmp")["make"],
        lines("$HOME/tmp")["make"],
        lines("/tmp")["make"].replace("77", "22"),
        lines("/tmp")["make"] + "; id",
    ],
)
def test_any_other_script_is_run_by_a_shell(script):
    assert request_for(script) == {"do": "exec", "argv": ["/bin/sh", "-c", script]}
