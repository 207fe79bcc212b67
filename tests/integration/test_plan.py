"""The plan on a real engine: what it prints, and that it changes nothing."""

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
    """Everything that the engine stores."""
    return {
        "images": {
            image["Id"]: (sorted(image.get("RepoTags") or ()), image.get("Labels"))
            for image in engine.api.images(all=True)
        },
        "containers": {container["Id"]: container["State"] for container in engine.api.containers(all=True)},
        "volumes": {volume["Name"]: volume for volume in engine.api.volumes()["Volumes"] or ()},
        "networks": {network["Id"]: network["Name"] for network in engine.api.networks()},
    }


def files(folder):
    """Everything in a folder: type and mode, modification time, content."""
    return {
        path: (path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *folder.rglob("*"))
    }


@pytest.fixture
def large_chain(small_chain, playbook, rootfs):
    """A chain of 30 tiers that look as if they were built: a base, a trunk, and 28 tiers based on it."""
    # Its own base: other chains are built on the shared one, which must not be replaced.
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
    # For all runs: plugins in configured folders are part of every build key.
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
        """Engine and files, without the status that the plan writes for the report."""
        state_files = files(Path(environment["XDG_STATE_HOME"])).items()
        contents = {path: content for path, content in state_files if path.is_file() and path.stem != "standing"}
        return engine_state(engine), contents, files(small_chain.folder)

    before = everything()
    inventory = str(small_chain.folder / "chain.yml")
    result = small_chain.playbook("build-chain.yml", "-i", inventory, "--check").expect()
    assert everything() == before
    assert "one   build  role one/tasks/main.yml changed\n             2 tiers follow: two, new\n" in result.output
    assert "new   build  parent one is built" in result.output


@pytest.mark.once
def test_a_snapshot_agrees_with_the_engine_about_each_name(demo, engine):
    snapshot = as_engine(engine).images.snapshot()
    for tier in DEMO:
        for name in (*demo[tier].tags, f"docker.io/library/{tier}:latest"):
            in_snapshot, on_engine = snapshot.find(name), as_engine(engine).images.find(name)
            assert (in_snapshot.id, in_snapshot.labels) == (on_engine.id, on_engine.labels)
    assert snapshot.find("nobody:latest") is None


@pytest.mark.once
def test_the_plan_of_a_large_unchanged_chain_is_short(large_chain, engine):
    before = engine_state(engine)["images"]
    result = large_chain.build().expect()
    assert result.output.count("30 tiers are kept as they are; -v lists all") == 2  # in the plan and in the results
    assert "nothing changed" not in result.output
    assert engine_state(engine)["images"] == before
    assert large_chain.build("-v").expect().output.count("  keep   nothing changed") == 30


@pytest.mark.once
def test_the_plan_of_a_large_chain_lists_the_tiers_to_build_with_their_cause(large_chain):
    (large_chain.folder / "roles/trunk/tasks/main.yml").write_text(WRITE + "# changed\n")
    output = large_chain.build("--check").expect().output
    assert "trunk   build  role trunk/tasks/main.yml changed\n               28 tiers follow\n" in output
    assert output.count("  build  parent trunk is built") == 28
    assert "1 tier is kept as it is; -v lists all" in output
