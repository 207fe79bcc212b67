"""Where the engine is, and what happens where there is none."""

from __future__ import annotations

import json
import shlex
import subprocess
import threading

import pytest

from .conftest import ROOT
from .engines import wait_for

WRITE = "- name: Count what comes in\n  ansible.builtin.command: {cmd: wc -c, stdin: \"{{ 'x' * 200000 }}\"}\n"


def test_nothing_is_done_where_an_engine_answers(playbook):
    done = playbook("playbooks/engine.yml").expect()
    assert "changed=0" in done.output


def test_an_engine_that_docker_host_names_is_not_replaced(playbook):
    failed = playbook("playbooks/engine.yml", env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"}).expect(2)
    assert "DOCKER_HOST is set, so no engine is installed on this machine" in failed.message
    assert "unix:///nonexistent/docker.sock" in failed.message


@pytest.mark.once
def test_without_root_it_says_what_is_missing_and_what_to_do(playbook):
    """Whoever cannot become root: here because the program that would do it is not there."""
    extra = {
        "engine_tools": ["a-tool-that-is-missing"],
        "__engine_become": True,
        "ansible_become_exe": "/nonexistent/sudo",
    }
    become = {"ANSIBLE_BECOME_ALLOW_SAME_USER": "true"}  # or root would not be asked to become root
    failed = playbook("playbooks/engine.yml", "-e", json.dumps(extra), env=become).expect(2)
    assert "Missing on this machine: a-tool-that-is-missing. Installing needs root" in failed.message
    assert "--ask-become-pass" in failed.message


@pytest.fixture
def elsewhere(tmp_path, environment):
    """Run the playbook as on a machine of another distribution, on which no engine answers."""

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
        alone = ["unshare", "--mount", "sh", "-ec", script]
        done = subprocess.run(alone, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stdout + done.stderr
        return " ".join(done.stdout.split())

    return run


FEDORA = ("redhat-release", "Fedora release 41 (Forty One)")


@pytest.mark.once
@pytest.mark.parametrize(
    ("release", "told"),
    [
        (FEDORA, "this is Fedora. Install and start Docker Engine 20.10 or later"),
        (FEDORA, "(as root: dnf install podman && systemctl start podman.socket"),
        (("slackware-version", "Slackware 15.0"), "this is Slackware. Install and start Docker Engine 20.10 or later"),
    ],
)
def test_on_a_distribution_that_it_does_not_know_it_says_what_to_install(elsewhere, release, told):
    failed = elsewhere(*release, "-e", '{"engine_tools": ["a-tool-that-is-missing"]}')
    assert "Missing on this machine: engine, a-tool-that-is-missing" in failed
    assert told in failed
    assert "Install a-tool-that-is-missing as well: tier_bootstrap makes Debian bases with it" in failed


@pytest.mark.once
def test_where_the_engine_is_called_otherwise_it_says_so(playbook):
    extra = {"engine_tools": ["a-tool-that-is-missing"]}
    failed = playbook("playbooks/engine.yml", "-e", json.dumps(extra)).expect(2)
    assert "apt cannot install a-tool-that-is-missing on this machine (Debian 12" in failed.message
    assert "engine_packages and engine_tools name the packages" in failed.message


# On the controller, so that the engine is missed when the layer is sealed and not in the role.
AWHILE = """
- name: Wait until the engine has gone
  ansible.builtin.shell: touch FOLDER/waiting; until test -e FOLDER/gone; do sleep 0.1; done
  delegate_to: localhost
"""


def test_a_remote_engine_builds_as_well(small_chain, remote):
    small_chain.tier("one", WRITE, parent="base")
    small_chain.build(env={"DOCKER_HOST": remote.address}).expect()
    assert small_chain.released("one")


@pytest.mark.once
def test_an_engine_that_goes_away_fails_every_tier_and_nobody_waits(small_chain, remote):
    small_chain.tier("one", WRITE + AWHILE.replace("FOLDER", str(small_chain.folder)), parent="base")
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
    assert "FAILED one\n" in failed.output  # told at the end although no engine answers
    # It is back, and the next run needs no help.
    small_chain.tier("one", WRITE, parent="base")
    assert "removed what the killed run" in small_chain.build().expect().output
