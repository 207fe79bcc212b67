"""What the agent does in place of a shell must be what the shell would have done."""

from __future__ import annotations

import shlex
import stat
import subprocess

import pytest
from ansible.plugins.shell.sh import ShellModule

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import client

NAME = "ansible-tmp-1795503010.2590-2535-79575538736346"


def lines(base):
    """What Ansible's own shell plugin writes for a task with a file, in order."""
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
def test_the_same_is_done_as_by_a_shell(an_agent, tmp_path, base):
    found = {}
    for who in ("shell", "agent"):
        root = tmp_path / who
        (root / "there").mkdir(parents=True, mode=0o755)
        for do, script in lines(str(root / base)).items():
            request = request_for(script)
            assert request["do"] == do
            if do == "allow":
                (root / base / NAME / ".source.txt").write_text("content")
                (root / base / NAME / ".source.txt").chmod(0o440)
            if who == "agent":
                done = an_agent.run({**request, "user": ""})
                told = (done.code, bytes(done.stdout), bytes(done.stderr))
            else:
                ran = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=False)
                told = (ran.returncode, ran.stdout, ran.stderr)
            found[who, do] = (told[0], told[1].replace(str(root).encode(), b"ROOT"), told[2], tree(root))
    for do in ("make", "allow", "remove"):
        assert found["agent", do] == found["shell", do]


def test_a_folder_that_is_there_or_cannot_be_made_fails_as_in_a_shell(an_agent, tmp_path):
    make = request_for(lines(str(tmp_path))["make"])
    assert an_agent.run({**make, "user": ""}).code == 0
    again = an_agent.run({**make, "user": ""})
    assert again.code == 1
    assert b"File exists" in again.stderr
    (tmp_path / "file").write_text("")
    assert an_agent.run({**request_for(lines(str(tmp_path / "file"))["make"]), "user": ""}).code == 1


def test_what_is_gone_is_removed(an_agent, tmp_path):
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
def test_anything_else_is_run_by_a_shell(script):
    assert request_for(script) == {"do": "exec", "argv": ["/bin/sh", "-c", script]}
