"""The playbook that installs an engine, and builds with an engine that is remote or gets lost."""

from __future__ import annotations

import json
import shlex
import subprocess
import threading

import pytest

from .conftest import ROOT
from .engines import wait_for

WRITE = "- name: Count what comes in\n  ansible.builtin.command: {cmd: wc -c, stdin: \"{{ 'x' * 200000 }}\"}\n"


def test_nothing_is_installed_if_an_engine_answers(playbook):
    result = playbook("playbooks/engine.yml").expect()
    assert "changed=0" in result.output


def test_no_engine_is_installed_if_docker_host_names_one(playbook):
    failed = playbook("playbooks/engine.yml", env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"}).expect(2)
    assert "DOCKER_HOST is set, so no engine is installed on this machine" in failed.message
    assert "unix:///nonexistent/docker.sock" in failed.message


@pytest.mark.once
def test_without_root_the_message_says_what_to_do(playbook):
    """For a user who cannot become root: here, because the program for that does not exist."""
    extra = {
        "engine_tools": ["a-tool-that-is-missing"],
        "__engine_become": True,
        "ansible_become_exe": "/nonexistent/sudo",
    }
    become = {"ANSIBLE_BECOME_ALLOW_SAME_USER": "true"}  # otherwise, root would not need to become root
    failed = playbook("playbooks/engine.yml", "-e", json.dumps(extra), env=become).expect(2)
    assert "Missing on this machine: a-tool-that-is-missing. Installing needs root" in failed.message
    assert "--ask-become-pass" in failed.message


@pytest.fixture
def other_distribution(tmp_path, environment):
    """Run the playbook as on a machine with a different distribution, on which no engine answers."""

    def run(file: str, content: str, *arguments: str) -> str:
        (tmp_path / "upper").mkdir()
        (tmp_path / "work").mkdir()
        words = shlex.join(["ansible-playbook", "playbooks/engine.yml", *arguments])
        script = f"""
mount -t overlay -o lowerdir=/etc,upperdir={tmp_path}/upper,workdir={tmp_path}/work none /etc
rm /etc/debian_version
echo {shlex.quote(content)} > /etc/{file}
mount -t tmpfs none /run
{words}
"""
        command = ["unshare", "--mount", "sh", "-ec", script]
        process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert process.returncode == 2, process.stdout + process.stderr
        return " ".join(process.stdout.split())

    return run


FEDORA = ("redhat-release", "Fedora release 41 (Forty One)")


@pytest.mark.once
@pytest.mark.parametrize(
    ("release", "advice"),
    [
        (FEDORA, "this is Fedora. Install and start Docker Engine 20.10 or later"),
        (FEDORA, "(as root: dnf install podman && systemctl start podman.socket"),
        (("slackware-version", "Slackware 15.0"), "this is Slackware. Install and start Docker Engine 20.10 or later"),
    ],
)
def test_on_an_unknown_distribution_the_message_says_what_to_install(other_distribution, release, advice):
    failed = other_distribution(*release, "-e", '{"engine_tools": ["a-tool-that-is-missing"]}')
    assert "Missing on this machine: engine, a-tool-that-is-missing" in failed
    assert advice in failed
    assert "Install a-tool-that-is-missing as well: tier_bootstrap needs it to make Debian" in failed


@pytest.mark.once
def test_an_unknown_package_is_reported_with_the_variables_that_name_packages(playbook):
    extra = {"engine_tools": ["a-tool-that-is-missing"]}
    failed = playbook("playbooks/engine.yml", "-e", json.dumps(extra)).expect(2)
    assert "apt cannot install a-tool-that-is-missing on this machine (Debian 12" in failed.message
    assert "engine_packages and engine_tools name the packages" in failed.message


# It runs on the controller, so the layer and not the role fails without the engine.
WAIT = """
- name: Wait until the engine has gone
  ansible.builtin.shell: touch FOLDER/waiting; until test -e FOLDER/gone; do sleep 0.1; done
  delegate_to: localhost
"""


def test_a_remote_engine_can_build(small_chain, remote):
    small_chain.tier("one", WRITE, parent="base")
    small_chain.build(env={"DOCKER_HOST": remote.address}).expect()
    assert small_chain.released("one")


@pytest.mark.once
def test_a_lost_engine_fails_every_tier_at_once(small_chain, remote):
    small_chain.tier("one", WRITE + WAIT.replace("FOLDER", str(small_chain.folder)), parent="base")
    small_chain.tier("two", WRITE, parent="one")

    def cut_off():
        wait_for((small_chain.folder / "waiting").exists)
        remote.close()
        (small_chain.folder / "gone").touch()

    threading.Thread(target=cut_off, daemon=True).start()
    failed = small_chain.build(env={"DOCKER_HOST": remote.address}, timeout=90)
    assert failed.code != 0
    assert "no container engine answers" in failed.message
    assert "tier 'two' is not built: its parent 'one' failed" in failed.message
    assert "FAILED one\n" in failed.output  # reported at the end although no engine answers
    # The engine is back, and the next run needs no help.
    small_chain.tier("one", WRITE, parent="base")
    assert "removed what the killed run" in small_chain.build().expect().output
