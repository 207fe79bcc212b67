"""Small chains on a real engine: layers, failures, limits, and what a build may and may not do."""

from __future__ import annotations

import json
import re
import subprocess
import time

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import PODMAN
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from sdk_client import as_engine

from .conftest import ROOT, WRITE
from .engines import runs, wait_for
from .saved_chain import SavedChain

CHANGED = WRITE.replace("echo", "echo indeed")
UPDATES = (
    WRITE
    + """
- name: Use the package manager's lists
  ansible.builtin.apt: {update_cache: true}
- name: Run a script from a file
  ansible.builtin.script: hello.sh
"""
)
HANDLER = "- name: Leave a mark\n  ansible.builtin.raw: printf handled > /etc/handled\n"


def layers(image):
    return image.attrs["RootFS"]["Layers"]


@pytest.fixture(scope="module")
def three_tiers(make_chain, tmp_path_factory):
    """A chain of three tiers, built and released."""
    with make_chain(tmp_path_factory.mktemp("chain")) as chain:
        chain.tier("one", WRITE, parent="base").tier("two", WRITE, parent="one", config={"user": "1001"})
        chain.tier("three", WRITE, parent="two")
        chain.build().expect()
        saved = SavedChain(chain)
        yield saved
        saved.forget()


@pytest.fixture
def built(three_tiers):
    """The chain of three tiers, restored after the previous test."""
    return three_tiers.restore()


def change(chain, *tiers):
    for tier in tiers:
        (chain.folder / f"roles/{tier}/tasks/main.yml").write_text(CHANGED)


def test_the_core_build_of_the_demo_is_built(playbook):
    """With the locked ansible-core, it was built before. Other versions build a real role here."""
    output = playbook("build-chain.yml", "--limit", "base,corebuild").expect().output
    assert re.search(r"^corebuild +corebuild:latest ", output, re.MULTILINE)


def images_of(chain):
    return {tier: chain.image(tier).id for tier in chain.tiers}


def test_each_tier_is_one_layer_on_its_parent(built):
    base, one, two = (built.image(tier) for tier in ("base", "one", "two"))
    assert [len(layers(image)) for image in (base, one, two)] == [1, 2, 3]
    assert layers(two)[:2] == layers(one)
    assert layers(one)[:1] == layers(base)
    assert built.run("two", "cat", "/etc/one", "/etc/two") == "one\ntwo\n"
    assert two.attrs["Config"]["User"] == "1001"
    assert one.attrs["Config"]["User"] == ""
    assert two.labels[labels.PARENT] == one.id
    assert two.labels[labels.TEAM] == two.history()[0]["Comment"].removeprefix("team ") == "operations"
    assert [entry["CreatedBy"] for entry in two.history()] == [
        "tierwright: tier two: role two",
        "tierwright: tier one: role one",
        f"tierwright: tier base: archive {built.tiers['base']['tier_import']['checksum']}",
    ]


@pytest.mark.once
def test_an_unchanged_chain_is_kept(built):
    before = images_of(built)
    again = built.build().expect()
    assert "changed=0" in again.output
    assert again.output.count("nothing changed") == len(built.tiers)
    assert images_of(built) == before


@pytest.mark.once
def test_children_of_an_identical_image_are_not_rebuilt(built):
    before = images_of(built)
    (built.folder / "roles/one/tasks/main.yml").write_text("# another way to say the same\n" + WRITE)
    planned = built.build("--check").expect()
    assert re.search(r"^two +build +parent one is built$", planned.output, re.MULTILINE)
    result = built.build().expect()
    results = dict(re.findall(rf"^(\w+) +{built.name}/\S+ .* \d+ +(\S.*)$", result.output, re.MULTILINE))
    assert results == {
        "one": "built, same content as the release",
        "two": "kept, built before on this image of parent one",
        "three": "kept, built before on this image of parent two",
    }
    assert images_of(built) == before
    again = built.build().expect()
    assert "changed=0" in again.output
    assert again.output.count("nothing changed") == len(built.tiers)
    # A tier whose content does change is built with all its descendants.
    change(built, "one")
    built.build().expect()
    assert all(image != before[tier] for tier, image in images_of(built).items() if tier != "base")


@pytest.mark.once
def test_check_lists_reasons_and_builds_nothing(built, engine):
    before = {image.id for image in engine.images.list(all=True)}
    (built.folder / "roles/one/tasks/main.yml").write_text(WRITE + "\n# changed\n")
    result = built.build("--check").expect()
    assert re.search(r"^one +build  role one/tasks/main.yml changed$", result.output, re.MULTILINE)
    assert re.search(r"^two +build  parent one is built$", result.output, re.MULTILINE)
    assert re.search(r"^base +keep   nothing changed$", result.output, re.MULTILINE)
    assert {image.id for image in engine.images.list(all=True)} == before


@pytest.mark.once
def test_limit_builds_on_the_current_image_of_the_parent(built):
    before = images_of(built)
    change(built, "one", "two")
    built.build("--limit", "two").expect()
    assert built.image("two").id != before["two"]
    assert built.image("two").labels[labels.PARENT] == before["one"]
    for tier in ("base", "one", "three"):
        assert built.image(tier).id == before[tier]


@pytest.mark.once
def test_force_builds_an_unchanged_tier(built):
    before = images_of(built)
    forced = built.build("-e", "tier_force=three").expect()
    assert re.search(r"^three +build  forced by tier_force$", forced.output, re.MULTILINE)
    assert "changed: [three]" in forced.output
    assert images_of(built) == before  # the same inputs give the same image


@pytest.fixture(scope="module")
def unrelated(make_chain, tmp_path_factory):
    """Unrelated tiers, built in one run."""
    with make_chain(tmp_path_factory.mktemp("chain")) as chain:
        chain.tier("idle", "- name: Do nothing\n  ansible.builtin.raw: 'true'\n", parent="base")
        chain.tier("above", WRITE, parent="idle")
        chain.tier("handles", WRITE + "  notify: Leave a mark\n", parent="base")
        chain.tier("says", WRITE, parent="base")
        chain.tier("other", parent="base", role="says", config={"user": "8"})
        chain.tier("scripts", UPDATES, parent="base")
        chain.tiers["says"]["says_port"] = 8080
        for path, text in {
            "handles/handlers/main.yml": HANDLER,
            "says/defaults/main.yml": "says_port: 80\nsays_tier_config: {ports: ['{{ says_port }}'], user: '7'}\n",
            "scripts/files/hello.sh": "#!/bin/sh\necho hello > /etc/hello\n",
        }.items():
            (chain.folder / "roles" / path).parent.mkdir(parents=True, exist_ok=True)
            (chain.folder / "roles" / path).write_text(text)
        chain.build().expect()
        yield chain


@pytest.mark.once
def test_a_role_that_changes_nothing_still_makes_a_layer(unrelated):
    assert [len(layers(unrelated.image(tier))) for tier in ("idle", "above")] == [2, 3]
    assert unrelated.run("above", "cat", "/etc/above") == "above\n"


def test_handlers_run_before_the_layer_is_sealed(unrelated):
    assert unrelated.run("handles", "cat", "/etc/handled") == "handled"


@pytest.mark.once
def test_the_inventory_overrides_the_image_settings_of_a_role(unrelated):
    one, other = (unrelated.image(tier).attrs["Config"] for tier in ("says", "other"))
    assert (list(one["ExposedPorts"]), one["User"]) == (["8080/tcp"], "7")
    assert (other.get("ExposedPorts"), other["User"]) == (None, "8")


@pytest.mark.once
def test_the_layer_has_no_trace_of_ansible_or_the_build(unrelated):
    find = "find / -xdev \\( -iname '*ansible*' -o -name __pycache__ -newer /etc/scripts \\) -not -path '/proc/*'"
    assert unrelated.run("scripts", "sh", "-c", find) == ""
    lists = "ls /dev/tierwright /var/lib/apt/lists/*Packages* 2>/dev/null; true"
    assert unrelated.run("scripts", "sh", "-c", lists) == ""
    assert unrelated.run("scripts", "cat", "/etc/hello") == "hello\n"
    config = json.dumps(unrelated.image("scripts").attrs["Config"])
    assert "noninteractive" not in config
    assert labels.RUN not in config


def test_a_failure_stops_only_its_branch(small_chain, engine):
    broken = WRITE + "- name: Break\n  ansible.builtin.command: sh -c 'echo it is broken >&2; exit 3'\n"
    small_chain.tier("trunk", WRITE, parent="base").tier("good", WRITE, parent="trunk")
    small_chain.tier("broken", broken, parent="trunk").tier("above", WRITE, parent="broken")
    small_chain.tier("top", WRITE, parent="above")
    failed = small_chain.build().expect(2)
    assert "it is broken" in failed.output
    summary = failed.output.partition("FAILED broken\n")[2]
    assert re.match(r"  task 'Break' \(broken/tasks/main.yml:\d+\)\n    [^']*non-zero return code\.?\n", summary)
    assert "    stderr:\n      it is broken\n" in summary
    assert "FAILED above" not in summary
    assert "tier 'above' is not built: its parent 'broken' failed" in failed.message
    assert small_chain.released("good")
    for tier in ("broken", "above", "top"):
        assert engine.images.list(f"{small_chain.name}/{tier}") == []
    # The release tag of the parent of failed tiers does not move: here, it does not exist.
    assert not small_chain.released("trunk")
    # The next run builds only what failed, and releases all tiers.
    small_chain.tier("broken", WRITE, parent="trunk")
    repaired = small_chain.build().expect()
    assert "trunk   keep   built before as" in repaired.output
    assert all(small_chain.released(tier) for tier in small_chain.tiers)


def test_an_unreachable_tier_fails_its_children_at_once(small_chain):
    tasks = WRITE + (
        "- name: Ask a machine that is not there\n  ansible.builtin.ping:\n  delegate_to: nowhere.invalid\n"
        "  vars: {ansible_connection: ssh, ansible_ssh_common_args: '-o ConnectTimeout=2'}\n"
    )
    small_chain.tier("lost", tasks, parent="base").tier("above", WRITE, parent="lost")
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


@pytest.mark.sampled
@pytest.mark.parametrize("forks", [1, pytest.param(2, marks=pytest.mark.once)])
def test_fewer_forks_than_tiers_never_deadlock(small_chain, forks):
    for name, parent in (("e", "c"), ("d", "b"), ("c", "a"), ("b", "a"), ("a", "base")):  # children first
        small_chain.tier(name, WRITE, parent=parent)
    small_chain.build("--forks", str(forks)).expect()
    assert small_chain.run("e", "cat", "/etc/a", "/etc/c", "/etc/e") == "a\nc\ne\n"


def test_a_partly_applied_role_is_built_again(small_chain):
    tasks = WRITE + "- name: Write more\n  tags: [more]\n  ansible.builtin.raw: echo x > /etc/more\n"
    small_chain.tier("one", tasks, parent="base")
    small_chain.build("--tags", "more").expect()
    assert small_chain.run("one", "sh", "-c", "ls /etc/one /etc/more 2>/dev/null || true") == "/etc/more\n"
    small_chain.build().expect()
    assert small_chain.run("one", "ls", "/etc/one", "/etc/more") == "/etc/more\n/etc/one\n"


@pytest.mark.once
def test_a_build_container_is_confined(small_chain, engine, environment):
    look = (
        WRITE
        + "- name: Look around\n  ansible.builtin.shell: |\n"
        + "    test ! -e /var/run/docker.sock && test ! -e /run/docker.sock\n"
        + "    grep -E '^(CapEff|NoNewPrivs):' /proc/self/status > /etc/status\n"
        + "    ! mknod /tmp/disk b 8 0 && ! mount -t tmpfs none /mnt\n"
        + "- name: Wait to be looked at\n  delegate_to: localhost\n  vars: {ansible_connection: local}\n"
        + f"  ansible.builtin.shell: until test -e {small_chain.folder}/go; do sleep 0.1; done\n"
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
        try:
            filters = {"label": [f"{labels.CHAIN}={small_chain.name}", f"{labels.TIER}=one"]}
            (container,) = wait_for(lambda: engine.containers.list(filters=filters))
        finally:
            (small_chain.folder / "go").touch()
        host, mounts = container.attrs["HostConfig"], container.attrs["Mounts"]
        output, _ = running.communicate()
    assert running.returncode == 0, output
    assert host["Privileged"] is False
    if as_engine(engine).kind == PODMAN:  # Podman lists every capability that it drops, and every mount
        assert set(host["CapDrop"]).isdisjoint(host["CapAdd"])
    else:
        assert host["CapDrop"] == ["ALL"]
        assert not host["Binds"]
    assert host["NetworkMode"] != "host"
    assert host["PidMode"] in {"", "private"}
    # The only folder of this machine is the one with the agent's socket, and it is read-only.
    binds = [(mount["Destination"], mount["RW"]) for mount in mounts if mount["Type"] == "bind"]
    assert binds == [("/dev/tierwright-agent", False)]
    assert {mount["Type"] for mount in mounts} == {"volume", "bind"}
    assert small_chain.run("one", "cat", "/etc/status").split() == ["CapEff:", "00000000000000cb", "NoNewPrivs:", "1"]


@pytest.fixture
def long_run(small_chain, engine, environment):
    """A run in the middle of a long task, which the test ends by a signal."""
    small_chain.tier("one", WRITE + "- name: Take long\n  ansible.builtin.command: sleep 600\n", parent="base")
    small_chain.write()
    running = subprocess.Popen(
        ["env", "--default-signal", "ansible-playbook", "build-chain.yml", "-i", str(small_chain.folder / "chain.yml")],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    own_labels = (f"{labels.CHAIN}={small_chain.name}", f"{labels.TIER}=one")
    wait_for(lambda: runs(engine, "sleep 600", *own_labels))
    yield running
    running.kill()
    running.wait()


@pytest.mark.once
def test_the_next_run_cleans_up_after_a_killed_run(small_chain, long_run):
    subprocess.run(["kill", "-KILL", "--", f"-{long_run.pid}"], check=True)
    long_run.wait()
    assert not small_chain.released("one")
    small_chain.tier("one", WRITE, parent="base")
    again = small_chain.build().expect()
    assert "removed what the killed run" in again.output
    assert small_chain.released("one")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["-INT", "--", "-PID"], 99, id="ctrl-c"),
        pytest.param(["-TERM", "PID"], 143, id="a cancelled job", marks=pytest.mark.once),
        pytest.param(["-HUP", "PID"], 129, id="a closed terminal", marks=pytest.mark.once),
    ],
)
def test_an_interrupted_run_cleans_up(small_chain, engine, long_run, arguments, code):
    subprocess.run(["kill", *(argument.replace("PID", str(long_run.pid)) for argument in arguments)], check=True)
    assert long_run.wait(60) == code
    assert engine.containers.list(all=True, filters={"label": f"{labels.CHAIN}={small_chain.name}"}) == []
    assert not small_chain.released("one")


def test_a_vaulted_secret_is_an_input_but_is_not_printed(small_chain, environment):
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
        process = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        (small_chain.folder / "group_vars/all.yml").write_text(process.stdout)

    encrypt("hunter2-canary")
    small_chain.tier("one", WRITE, parent="base")
    vault = ("--vault-password-file", str(password))
    small_chain.build(*vault).expect()
    assert "hunter2-canary" not in json.dumps(small_chain.image("one").attrs)
    encrypt("hunter2-canary")  # different bytes in the file, the same secret
    assert "one   keep   nothing changed" in small_chain.build(*vault, "--check").expect().output
    encrypt("hunter3-canary")
    assert "one   build  variable one_secret changed" in small_chain.build(*vault, "--check").expect().output
