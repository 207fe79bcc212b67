"""Small chains on the real engine: layers, failures, limits, and what a build may and may not do."""

from __future__ import annotations

import json
import re
import subprocess
import time

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils.image import labels

from .conftest import ROOT

WRITE = """
- name: Write a file
  ansible.builtin.copy: {content: "{{ inventory_hostname }}\\n", dest: "/etc/{{ inventory_hostname }}", mode: "0644"}
"""
CHANGED = WRITE.replace("\\n", " indeed\\n")


def layers(image):
    return image.attrs["RootFS"]["Layers"]


def test_each_tier_is_one_layer_on_its_parent_s(small_chain):
    small_chain.tier("one", WRITE, parent="base").tier("two", WRITE, parent="one", config={"user": "1001"})
    small_chain.build().expect()
    base, one, two = (small_chain.image(tier) for tier in ("base", "one", "two"))
    assert [len(layers(image)) for image in (base, one, two)] == [1, 2, 3]
    assert layers(two)[:2] == layers(one)
    assert layers(one)[:1] == layers(base)
    assert small_chain.run("two", "cat", "/etc/one", "/etc/two") == "one\ntwo\n"
    assert two.attrs["Config"]["User"] == "1001"
    assert one.attrs["Config"]["User"] == ""
    assert two.labels[labels.PARENT] == one.id
    assert two.labels[labels.TEAM] == two.history()[0]["Comment"].removeprefix("team ") == "operations"
    assert [entry["CreatedBy"] for entry in two.history()] == [
        "tierwright: tier two: role two",
        "tierwright: tier one: role one",
        f"tierwright: tier base: archive {small_chain.tiers['base']['tier_import']['checksum']}",
    ]


@pytest.mark.once
def test_a_role_that_changes_nothing_still_is_one_layer(small_chain):
    small_chain.tier("idle", "- name: Do nothing\n  ansible.builtin.command: 'true'\n", parent="base")
    small_chain.tier("above", WRITE, parent="idle")
    small_chain.build().expect()
    assert [len(layers(small_chain.image(tier))) for tier in ("idle", "above")] == [2, 3]
    assert small_chain.run("above", "cat", "/etc/above") == "above\n"


def test_nothing_changed_means_nothing_is_done(small_chain):
    small_chain.tier("one", WRITE, parent="base")
    small_chain.build().expect()
    before = small_chain.image("one").id
    again = small_chain.build().expect()
    assert "changed=0" in again.output
    assert "nothing changed" in again.output
    assert small_chain.image("one").id == before


def test_a_tier_that_comes_out_the_same_leaves_its_children_alone(small_chain):
    small_chain.tier("one", WRITE, parent="base").tier("two", WRITE, parent="one").tier("three", WRITE, parent="two")
    small_chain.build().expect()
    before = {tier: small_chain.image(tier).id for tier in small_chain.tiers}
    (small_chain.folder / "roles/one/tasks/main.yml").write_text("# another way to say the same\n" + WRITE)
    planned = small_chain.build("--check").expect()
    assert re.search(r"^two +build +parent one is built$", planned.output, re.MULTILINE)
    done = small_chain.build().expect()
    results = dict(re.findall(rf"^(\w+) +{small_chain.name}/\S+ .* \d+ +(\S.*)$", done.output, re.MULTILINE))
    assert results == {
        "one": "built, the same as before",
        "two": "kept, parent one came out the same",
        "three": "kept, parent two came out the same",
    }
    assert {tier: small_chain.image(tier).id for tier in small_chain.tiers} == before
    again = small_chain.build().expect()
    assert "changed=0" in again.output
    assert again.output.count("nothing changed") == len(small_chain.tiers)
    # One that does come out otherwise is built with all that stands on it.
    (small_chain.folder / "roles/one/tasks/main.yml").write_text(CHANGED)
    small_chain.build().expect()
    assert all(small_chain.image(tier).id != before[tier] for tier in ("one", "two", "three"))


def test_check_says_what_and_why_and_does_nothing(small_chain, engine):
    small_chain.tier("one", WRITE, parent="base").tier("two", WRITE, parent="one")
    small_chain.build().expect()
    before = {image.id for image in engine.images.list(all=True)}
    (small_chain.folder / "roles/one/tasks/main.yml").write_text(WRITE + "\n# changed\n")
    told = small_chain.build("--check").expect()
    assert "one   build  role one/tasks/main.yml changed" in told.output
    assert "two   build  parent one is built" in told.output
    assert "base  keep   nothing changed" in told.output
    assert {image.id for image in engine.images.list(all=True)} == before


def test_a_failure_stops_its_branch_only(small_chain, engine):
    broken = WRITE + "- name: Break\n  ansible.builtin.command: sh -c 'echo it is broken >&2; exit 3'\n"
    small_chain.tier("trunk", WRITE, parent="base").tier("good", WRITE, parent="trunk")
    small_chain.tier("broken", broken, parent="trunk").tier("above", WRITE, parent="broken")
    small_chain.tier("top", WRITE, parent="above")
    failed = small_chain.build().expect(2)
    assert "it is broken" in failed.output
    told = failed.output.partition("FAILED broken\n")[2]
    assert re.match(r"  task 'Break' \(broken/tasks/main.yml:\d+\)\n    [^']*non-zero return code\n", told)
    assert "    stderr:\n      it is broken\n" in told
    assert "FAILED above" not in told
    assert "tier 'above' is not built: its parent 'broken' failed" in failed.message
    assert small_chain.released("good")
    for tier in ("broken", "above", "top"):
        assert engine.images.list(f"{small_chain.name}/{tier}") == []
    # What the failed tiers stand on keeps its release tag where it was: here, nowhere.
    assert not small_chain.released("trunk")
    # The next run builds what failed and no more, and releases all of it.
    small_chain.tier("broken", WRITE, parent="trunk")
    repaired = small_chain.build().expect()
    assert "trunk   keep   built before as" in repaired.output
    assert all(small_chain.released(tier) for tier in small_chain.tiers)


def test_an_unreachable_tier_fails_its_children_at_once(small_chain):
    away = WRITE + (
        "- name: Ask a machine that is not there\n  ansible.builtin.ping:\n  delegate_to: nowhere.invalid\n"
        "  vars: {ansible_connection: ssh, ansible_ssh_common_args: '-o ConnectTimeout=2'}\n"
    )
    small_chain.tier("lost", away, parent="base").tier("above", WRITE, parent="lost")
    started = time.monotonic()
    failed = small_chain.build()
    assert failed.code in {2, 4}
    assert "tier 'above' is not built: its parent 'lost' failed" in failed.message
    assert time.monotonic() - started < 120


def test_an_include_that_cannot_be_loaded_fails_its_children_at_once(small_chain):
    missing = "- name: Include what is not there\n  ansible.builtin.include_role: {name: \"{{ 'no' ~ 'where' }}\"}\n"
    small_chain.tier("lost", missing, parent="base").tier("above", WRITE, parent="lost")
    failed = small_chain.build(timeout=300).expect(2)
    assert "role 'nowhere' was not found" in failed.message
    assert "recursion" not in failed.message
    assert "tier 'above' is not built: its parent 'lost' failed" in failed.message


@pytest.mark.parametrize("forks", [1, pytest.param(2, marks=pytest.mark.once)])
def test_fewer_forks_than_tiers_never_deadlock(small_chain, forks):
    for name, parent in (("e", "c"), ("d", "b"), ("c", "a"), ("b", "a"), ("a", "base")):  # children first
        small_chain.tier(name, WRITE, parent=parent)
    small_chain.build("--forks", str(forks)).expect()
    assert small_chain.run("e", "cat", "/etc/a", "/etc/c", "/etc/e") == "a\nc\ne\n"


def test_limit_builds_on_the_parent_s_current_image(small_chain):
    small_chain.tier("one", WRITE, parent="base").tier("two", WRITE, parent="one").tier("three", WRITE, parent="two")
    small_chain.build().expect()
    before = {tier: small_chain.image(tier).id for tier in small_chain.tiers}
    for tier in ("one", "two"):
        (small_chain.folder / f"roles/{tier}/tasks/main.yml").write_text(CHANGED)
    small_chain.build("--limit", "two").expect()
    assert small_chain.image("two").id != before["two"]
    assert small_chain.image("two").labels[labels.PARENT] == before["one"]
    for tier in ("base", "one", "three"):
        assert small_chain.image(tier).id == before[tier]


@pytest.mark.once
def test_force_builds_what_did_not_change(small_chain):
    small_chain.tier("one", WRITE, parent="base").tier("two", WRITE, parent="base")
    small_chain.build().expect()
    before = small_chain.image("two").id
    forced = small_chain.build("-e", "tier_force=two").expect()
    assert "two   build  forced by tier_force" in forced.output
    assert "changed: [two]" in forced.output
    assert small_chain.image("two").id == before  # the same inputs give the same image


def test_a_role_applied_in_part_never_passes_for_the_whole(small_chain):
    tasks = (
        WRITE
        + "- name: Write more\n  tags: [more]\n  ansible.builtin.copy: {content: x, dest: /etc/more, mode: '0644'}\n"
    )
    small_chain.tier("one", tasks, parent="base")
    small_chain.build("--tags", "more").expect()
    assert small_chain.run("one", "sh", "-c", "ls /etc/one /etc/more 2>/dev/null || true") == "/etc/more\n"
    small_chain.build().expect()
    assert small_chain.run("one", "ls", "/etc/one", "/etc/more") == "/etc/more\n/etc/one\n"


def test_handlers_run_before_the_layer_is_sealed(small_chain):
    role = small_chain.folder / "roles/one"
    (role / "handlers").mkdir(parents=True)
    (role / "handlers/main.yml").write_text(
        "- name: Leave a mark\n  ansible.builtin.copy: {content: handled, dest: /etc/handled, mode: '0644'}\n"
    )
    small_chain.tier("one", WRITE + "  notify: Leave a mark\n", parent="base")
    small_chain.build().expect()
    assert small_chain.run("one", "cat", "/etc/handled") == "handled"


@pytest.mark.once
def test_the_role_s_own_image_settings_count_unless_the_inventory_has_others(small_chain):
    role = small_chain.folder / "roles/one"
    (role / "defaults").mkdir(parents=True)
    (role / "defaults/main.yml").write_text("one_port: 80\none_tier_config: {ports: ['{{ one_port }}'], user: '7'}\n")
    small_chain.tier("one", WRITE, parent="base")
    small_chain.tier("other", parent="base", role="one", config={"user": "8"})
    small_chain.tiers["one"]["one_port"] = 8080
    small_chain.build().expect()
    one, other = (small_chain.image(tier).attrs["Config"] for tier in ("one", "other"))
    assert (list(one["ExposedPorts"]), one["User"]) == (["8080/tcp"], "7")
    assert (other.get("ExposedPorts"), other["User"]) == (None, "8")


@pytest.mark.once
def test_nothing_of_ansible_or_the_build_is_in_the_layer(small_chain):
    small_chain.tier(
        "one",
        WRITE
        + "- name: Use the package manager's lists\n  ansible.builtin.apt: {update_cache: true}\n"
        + "- name: Run a script from a file\n  ansible.builtin.script: hello.sh\n",
        parent="base",
    )
    (small_chain.folder / "roles/one/files").mkdir()
    (small_chain.folder / "roles/one/files/hello.sh").write_text("#!/bin/sh\necho hello > /etc/hello\n")
    small_chain.build().expect()
    find = "find / -xdev \\( -iname '*ansible*' -o -name __pycache__ -newer /etc/one \\) -not -path '/proc/*'"
    assert small_chain.run("one", "sh", "-c", find) == ""
    lists = "ls /dev/tierwright /var/lib/apt/lists/*Packages* 2>/dev/null; true"
    assert small_chain.run("one", "sh", "-c", lists) == ""
    assert small_chain.run("one", "cat", "/etc/hello") == "hello\n"
    config = json.dumps(small_chain.image("one").attrs["Config"])
    assert "noninteractive" not in config
    assert labels.RUN not in config


@pytest.mark.once
def test_a_build_container_is_confined_while_it_builds(small_chain, engine, environment):
    look = (
        WRITE
        + "- name: Look around\n  ansible.builtin.shell: |\n"
        + "    test ! -e /var/run/docker.sock && test ! -e /run/docker.sock\n"
        + "    grep -E '^(CapEff|NoNewPrivs):' /proc/self/status > /etc/status\n"
        + "    ! mknod /tmp/disk b 8 0 && ! mount -t tmpfs none /mnt\n"
        + "- name: Wait to be looked at\n  ansible.builtin.command: sleep 6\n"
    )
    small_chain.tier("one", look, parent="base")
    small_chain.write()
    with subprocess.Popen(
        ["ansible-playbook", "build-chain.yml", "-i", str(small_chain.folder / "chain.yml")],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        found = []
        while running.poll() is None and not found:
            found = engine.containers.list(filters={"label": f"{labels.TIER}=one"})
            time.sleep(0.2)
        host = found[0].attrs["HostConfig"]
        mounts = found[0].attrs["Mounts"]
        output, _ = running.communicate()
    assert running.returncode == 0, output
    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    assert not host["Binds"]
    assert host["NetworkMode"] != "host"
    assert host["PidMode"] == ""
    # Of this machine it has the folder of the agent's socket, and can write nothing there.
    binds = [(mount["Destination"], mount["RW"]) for mount in mounts if mount["Type"] == "bind"]
    assert binds == [("/dev/tierwright-agent", False)]
    assert {mount["Type"] for mount in mounts} == {"volume", "bind"}
    assert small_chain.run("one", "cat", "/etc/status").split() == ["CapEff:", "00000000000000cb", "NoNewPrivs:", "1"]


@pytest.fixture
def long_run(small_chain, engine, environment):
    """A run of its own in the middle of a task that takes long, to be ended by a signal."""
    small_chain.tier("one", WRITE + "- name: Take long\n  ansible.builtin.command: sleep 600\n", parent="base")
    small_chain.write()
    running = subprocess.Popen(
        ["ansible-playbook", "build-chain.yml", "-i", str(small_chain.folder / "chain.yml")],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not engine.containers.list(filters={"label": f"{labels.TIER}=one"}):
        assert running.poll() is None
        time.sleep(0.2)
    time.sleep(3)
    yield running
    running.kill()
    running.wait()


def test_a_killed_run_leaves_nothing_after_the_next(small_chain, long_run):
    subprocess.run(["kill", "-KILL", "--", f"-{long_run.pid}"], check=True)
    long_run.wait()
    assert not small_chain.released("one")
    small_chain.tier("one", WRITE, parent="base")
    again = small_chain.build().expect()
    assert "cleared what the killed run" in again.output
    assert small_chain.released("one")


def test_an_interrupted_run_clears_up_after_itself(small_chain, engine, long_run):
    subprocess.run(["kill", "-INT", "--", f"-{long_run.pid}"], check=True)
    assert long_run.wait(60) != 0
    assert engine.containers.list(all=True, filters={"label": f"{labels.TIER}=one"}) == []
    assert not small_chain.released("one")


def test_a_secret_from_a_vault_counts_but_is_not_told(small_chain, environment):
    password = small_chain.folder / "password"
    password.write_text("vault password\n")
    (small_chain.folder / "group_vars").mkdir()

    def encrypt(secret):
        command = [
            "ansible-vault",
            "encrypt_string",
            "--vault-password-file",
            str(password),
            "--name",
            "one_secret",
            secret,
        ]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        (small_chain.folder / "group_vars/all.yml").write_text(done.stdout)

    encrypt("hunter2-canary")
    small_chain.tier("one", WRITE, parent="base")
    vault = ("--vault-password-file", str(password))
    small_chain.build(*vault).expect()
    assert "hunter2-canary" not in json.dumps(small_chain.image("one").attrs)
    encrypt("hunter2-canary")  # other bytes in the file, the same secret
    assert "one   keep   nothing changed" in small_chain.build(*vault, "--check").expect().output
    encrypt("hunter3-canary")
    assert "one   build  variable one_secret changed" in small_chain.build(*vault, "--check").expect().output
