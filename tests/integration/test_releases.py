"""Promotion, rollback and concurrent runs on a real engine: which images the tags name, and which run waits."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import ROOT
from .saved_chain import SavedChain, names_of

WRITE = """
- name: Write a file
  ansible.builtin.raw: echo {{ inventory_hostname }} VERSION > /etc/{{ inventory_hostname }}
"""
PARENTS = {"one": "base", "two": "one", "side": "base"}


@pytest.fixture(scope="module")
def two_releases(make_chain, tmp_path_factory):
    """A chain with two releases, built once; the second has different images of `one` and `two`."""
    with make_chain(tmp_path_factory.mktemp("chain")) as chain:
        set_version(chain, 1, *PARENTS)
        chain.build().expect()
        set_version(chain, 2, "one")
        chain.build("--limit", "base,one,two").expect()
        saved = SavedChain(chain)
        yield saved
        saved.forget()


@pytest.fixture
def released(two_releases):
    """The chain with two releases, restored after the previous test."""
    return two_releases.restore()


def set_version(chain, number, *tiers):
    for tier in tiers:
        chain.tier(tier, WRITE.replace("VERSION", str(number)), parent=PARENTS[tier])


def image_ids(chain):
    return {tier: chain.image(tier).id for tier in PARENTS}


def releases(chain, tier):
    """Releases in which the image of the tier was new."""
    return [tag.rpartition(":")[2] for tag in chain.image(tier).tags if ":release-" in tag]


def rollback(chain, *arguments):
    return chain.playbook("playbooks/rollback.yml", "-i", str(chain.folder / "chain.yml"), *arguments)


@pytest.mark.once
def test_rollback_goes_back_and_forward(released):
    second = image_ids(released)
    first = {tier: released.engine.images.get(f"{released.name}/{tier}:previous").id for tier in ("one", "two")}
    first["side"] = second["side"]
    assert set(first.values()).isdisjoint({second["one"], second["two"]})
    (newest,) = releases(released, "two")
    assert releases(released, "one") == [newest]
    assert newest not in releases(released, "side")

    before = names_of(released)
    result = rollback(released, "--check").expect()
    assert names_of(released) == before
    assert re.search(
        rf"^TIER +WAS +WOULD BE\none +{second['one'][:19]} +{first['one'][:19]}$", result.output, re.MULTILINE
    )
    assert "side " not in result.output

    result = rollback(released).expect()
    assert image_ids(released) == first
    assert re.search(rf"^two +{second['two'][:19]} +{first['two'][:19]}$", result.output, re.MULTILINE)
    assert "changed=1" in result.output
    assert released.engine.images.get(f"{released.name}/two:previous").id == second["two"]
    assert "there is no release before" in rollback(released).expect(2).message

    # The sources still are those of the withdrawn release: nothing is released again, and the plan says why.
    result = released.build().expect()
    assert re.search(
        r"one +keep +withdrawn by a rollback on \d{4}-\d\d-\d\d; change it, or -e tier_force=one", result.output
    )
    assert "two   keep   nothing changed" in result.output
    assert image_ids(released) == first

    rollback(released, "-e", f"tier_release={newest}").expect()
    assert image_ids(released) == second
    assert not [tag for tag in names_of(released) if "withdrawn-" in tag]
    assert released.build().expect().output.count("keep   nothing changed") == 4


@pytest.mark.once
def test_a_withdrawn_tier_is_released_when_changed_or_forced(released):
    rollback(released).expect()
    first = image_ids(released)
    forced = released.build("-e", "tier_force=one").expect()
    assert "one   build  forced by tier_force" in forced.output
    assert released.run("one", "cat", "/etc/one") == "one 2\n"
    assert released.image("two").id != first["two"]
    rollback(released).expect()
    assert image_ids(released) == first
    set_version(released, 3, "one")
    released.build().expect()
    assert released.run("two", "cat", "/etc/one", "/etc/two") == "one 3\ntwo 1\n"


@pytest.mark.once
def test_rollback_with_limit_keeps_the_other_tiers(released):
    second = image_ids(released)
    rollback(released, "--limit", "two").expect()
    assert image_ids(released) == {**second, "two": released.engine.images.get(f"{released.name}/two:latest").id}
    assert released.image("two").id != second["two"]
    assert released.run("two", "cat", "/etc/one") == "one 1\n"


@pytest.mark.once
def test_nothing_is_promoted_if_a_release_tag_was_moved_meanwhile(small_chain, engine):
    """The role of one tier moves the release tag of the other, as a different user could."""
    repository = f"{small_chain.name}/side"
    move_tag = f"""
- name: Move a release tag
  delegate_to: localhost
  vars: {{ansible_connection: local, ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}"}}
  ansible.builtin.command: docker tag {small_chain.name}/theirs:latest {repository}:latest
"""
    engine.images.get("base:latest").tag(f"{small_chain.name}/theirs")
    foreign_image = engine.images.get(f"{small_chain.name}/theirs").id
    try:
        small_chain.tier("side", WRITE, parent="base").tier("one", WRITE + move_tag, parent="base")
        small_chain.build("--limit", "base").expect()
        failed = small_chain.build().expect(2)
        assert f"tier 'side': {repository}:latest named no image when this run was planned" in failed.message
        assert f"and names {foreign_image} now: a different run or user moved it. Nothing is promoted" in failed.message
        assert re.search(r"one .* built, \S+one:latest not moved$", failed.output, re.MULTILINE)
        assert not small_chain.released("one")
        assert not [name for name in names_of(small_chain) if "/one:release-" in name]
        # Nothing is lost: the next run finds the image that was built.
        again = small_chain.build().expect()
        assert "one   keep   built before as" in again.output
        assert small_chain.released("one")
        assert engine.images.get(f"{repository}:previous").id == foreign_image
    finally:
        for name in ("theirs:latest", "side:previous"):
            if engine.images.list(f"{small_chain.name}/{name}"):
                engine.images.remove(f"{small_chain.name}/{name}")


@pytest.fixture
def running(small_chain, environment):
    """A run that waits in its last task until the test creates a file."""
    go = small_chain.folder / "go"
    wait = (
        "- name: Wait\n  delegate_to: localhost\n  vars: {ansible_connection: local}\n"
        f"  ansible.builtin.shell: until test -e {go}; do sleep 0.1; done\n"
    )
    small_chain.tier("one", WRITE + wait, parent="base")
    small_chain.write()
    log = small_chain.folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            ["ansible-playbook", "build-chain.yml", "-i", str(small_chain.folder / "chain.yml")],
            cwd=ROOT,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + 60
    try:
        while "one : Write a file]" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield process
    finally:
        go.touch()
        process.wait(120)
    assert process.returncode == 0, log.read_text()


@pytest.mark.once
def test_without_patience_the_message_names_the_other_run(small_chain, running):
    failed = small_chain.build("-e", "tier_lock_timeout=0").expect(2)
    assert f"another run over chain '{small_chain.name}' is active" in failed.message
    assert re.search(
        rf"process {running.pid} of user \S+ on \S+ since [\d: -]+: ansible-playbook build-chain.yml", failed.message
    )
    assert f"process {running.pid} of user" in rollback(small_chain, "-e", "tier_lock_timeout=0").expect(2).message
    small_chain.build("--check").expect()  # a check does not wait


@pytest.mark.once
def test_a_second_run_waits_and_has_nothing_to_do(small_chain, running, environment):
    second = subprocess.Popen(
        ["ansible-playbook", "build-chain.yml", "-i", str(small_chain.folder / "chain.yml")],
        cwd=ROOT,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert second.stdout is not None
    output = ""
    while "waiting for another run" not in output:
        output += second.stdout.readline()
    (small_chain.folder / "go").touch()
    rest, _ = second.communicate(timeout=120)
    assert second.returncode == 0, output + rest
    assert "one   keep   nothing changed" in rest
    assert running.wait(60) == 0


@pytest.mark.once
def test_a_failed_plan_leaves_no_journal(small_chain, environment):
    small_chain.tier("one", parent="base")  # the role does not exist
    small_chain.build().expect(2)
    assert list(Path(environment["XDG_STATE_HOME"], "tierwright", small_chain.name, "runs").iterdir()) == []
