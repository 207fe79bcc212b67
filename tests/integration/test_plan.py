"""What planning tells on the real engine, and that it changes nothing there."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from sdk_client import as_engine

from .conftest import DEMO, ROOT, WRITE

#: Makes images for a whole chain without building it.
PRETEND = """
- name: Pretend that everything was built
  hosts: all
  gather_facts: false
  tasks:
    - name: Make the images
      bench_pretend:
      run_once: true
"""


def engine_state(engine):
    """Everything that the engine holds."""
    return {
        "images": {
            each["Id"]: (sorted(each.get("RepoTags") or ()), each.get("Labels")) for each in engine.api.images(all=True)
        },
        "containers": {each["Id"]: each["State"] for each in engine.api.containers(all=True)},
        "volumes": {each["Name"]: each for each in engine.api.volumes()["Volumes"] or ()},
        "networks": {each["Id"]: each["Name"] for each in engine.api.networks()},
    }


def files(folder):
    """Everything in a folder: kind and mode, time of change, content."""
    return {
        path: (path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *folder.rglob("*"))
    }


@pytest.fixture
def large_chain(small_chain, playbook, rootfs):
    """A chain of 30 tiers that seem to be built: a trunk, and 28 tiers on it."""
    # A base of its own, since others are built on what the shared one is.
    small_chain.tier("base", **{"import": rootfs})
    small_chain.tier("trunk", WRITE, parent="base")
    small_chain.tier("leaf", WRITE, parent="trunk")
    for number in range(27):
        small_chain.tier(f"leaf{number}", parent="trunk", role="leaf")
    small_chain.write()
    (small_chain.folder / "pretend.yml").write_text(PRETEND)
    shutil.copytree(ROOT / "tests/bench/plan/action_plugins", small_chain.folder / "actions")
    actions = {"ANSIBLE_ACTION_PLUGINS": str(small_chain.folder / "actions")}
    inventory = str(small_chain.folder / "chain.yml")
    # All runs, since plugins in folders that are configured are a part of each key.
    small_chain.playbook = partial(playbook, env=actions)
    small_chain.playbook(str(small_chain.folder / "pretend.yml"), "-i", inventory).expect()
    return small_chain


@pytest.mark.once
def test_check_changes_nothing(small_chain, engine, environment):
    small_chain.tier("one", WRITE, parent="base").tier("two", WRITE, parent="one").tier("new", WRITE, parent="one")
    small_chain.build("--limit", "base,one,two").expect()
    (small_chain.folder / "roles/one/tasks/main.yml").write_text(WRITE + "# changed\n")
    small_chain.write()

    def everything():
        """But for the note of what the plan wants, which is for the report."""
        state = files(Path(environment["XDG_STATE_HOME"])).items()
        kept = {path: said for path, said in state if path.is_file() and path.stem != "standing"}
        return engine_state(engine), kept, files(small_chain.folder)

    before = everything()
    inventory = str(small_chain.folder / "chain.yml")
    told = small_chain.playbook("build-chain.yml", "-i", inventory, "--check").expect()
    assert everything() == before
    assert "one   build  role one/tasks/main.yml changed\n             2 tiers follow: two, new\n" in told.output
    assert "new   build  parent one is built" in told.output


@pytest.mark.once
def test_a_snapshot_says_what_the_engine_says_of_each_name(demo, engine):
    snapshot = as_engine(engine).images.snapshot()
    for tier in DEMO:
        for name in (*demo[tier].tags, f"docker.io/library/{tier}:latest"):
            found, asked = snapshot.find(name), as_engine(engine).images.find(name)
            assert (found.id, found.labels) == (asked.id, asked.labels)
    assert snapshot.find("nobody:latest") is None


@pytest.mark.once
def test_a_large_chain_is_told_in_few_lines(large_chain, engine):
    before = engine_state(engine)["images"]
    kept = large_chain.build().expect()
    assert kept.output.count("30 tiers are kept as they are; -v lists all") == 2  # the plan, and what became of it
    assert "nothing changed" not in kept.output
    assert engine_state(engine)["images"] == before
    assert large_chain.build("-v").expect().output.count("  keep   nothing changed") == 30


@pytest.mark.once
def test_in_a_large_chain_what_is_built_is_told_with_its_cause(large_chain):
    (large_chain.folder / "roles/trunk/tasks/main.yml").write_text(WRITE + "# changed\n")
    told = large_chain.build("--check").expect().output
    assert "trunk   build  role trunk/tasks/main.yml changed\n               28 tiers follow\n" in told
    assert told.count("  build  parent trunk is built") == 28
    assert "1 tier is kept as it is; -v lists all" in told
