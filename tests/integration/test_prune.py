"""Clearing up on the real engine: what goes, how much that frees, and what is never touched."""

from __future__ import annotations

import io
import re
import secrets

import docker
import docker.errors
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.interpreter import mounted_python
from sdk_client import as_engine

from .conftest import SHARED_BASE

WRITE = """
- name: Write VERSION
  ansible.builtin.raw: head -c 3000000 /dev/urandom > /etc/{{ inventory_hostname }}
"""

pytestmark = pytest.mark.once


def prune(chain, *arguments):
    return chain.playbook("playbooks/prune.yml", "-i", str(chain.folder / "chain.yml"), *arguments)


def state(engine):
    """Everything on the engine that could be removed."""
    named = {image.id: sorted(image.tags) for image in engine.images.list()}
    return named, {each.id for each in engine.containers.list(all=True)}, {each.name for each in engine.volumes.list()}


def gone(engine, image):
    try:
        engine.images.get(image)
    except docker.errors.ImageNotFound:
        return True
    return False


@pytest.fixture(scope="module")
def old(make_chain, tmp_path_factory):
    """A chain with three releases of one tier, and the images of that tier, the oldest first.

    The tests that have it follow one another: each finds what the one before has left.
    """
    with make_chain(tmp_path_factory.mktemp("chain")) as chain:
        chain.tier("top", WRITE, parent="one")
        made = []
        for version in range(3):
            chain.tier("one", WRITE.replace("VERSION", str(version)), parent="base")
            chain.build("--limit", "base,one" if version < 2 else "all").expect()
            made.append(chain.image("one").id)
        prune(chain).expect()  # nothing of this chain, but Pythons of bases that are gone
        yield chain, made


def test_what_nothing_needs_is_listed_and_stays_with_check(old, engine):
    chain, (first, *_others) = old
    before = state(engine)
    listed = prune(chain, "--check", "-e", "tier_keep_releases=1").expect()
    assert state(engine) == before
    assert re.search(rf"^one +{first[:19]}  3\.0 MB$", listed.output, re.MULTILINE)
    assert "would free 3.0 MB" in listed.output
    assert "there is nothing to remove" in prune(chain).expect().output


def test_what_somebody_else_made_of_ours_stays(small_chain, engine):
    """A container of an image, and what neither name nor labels tell from ours: a build on it, a commit of that one."""
    made = []
    for version in range(3):
        small_chain.tier("one", WRITE.replace("VERSION", str(version)), parent="base").build().expect()
        made.append(small_chain.image("one").id)
    container = engine.containers.create(made[0], command=["-"])
    try:
        assert made[0][:19] not in prune(small_chain, "-e", "tier_keep_releases=1").expect().output
        assert not gone(engine, made[0])
        committed = container.commit()
    finally:
        container.remove()
    dockerfile = f"FROM {made[0]}\nENV THEIRS=yes\n"
    built, _log = engine.images.build(fileobj=io.BytesIO(dockerfile.encode()), rm=True)
    try:
        assert built.labels[labels.CHAIN] == committed.labels[labels.CHAIN] == small_chain.name
        done = prune(small_chain, "-e", "tier_keep_releases=1").expect()
        assert built.id[:19] not in done.output
        assert committed.id[:19] not in done.output
        assert not gone(engine, built.id)
        assert not gone(engine, committed.id)
    finally:
        for image in (built.id, committed.id):
            engine.images.remove(image)


def test_releases_that_are_kept_can_be_gone_back_to(old, engine):
    chain, (first, second, third) = old
    assert "freed 3.0 MB" in prune(chain, "-e", "tier_keep_releases=2").expect().output
    assert gone(engine, first)
    chain.playbook("playbooks/rollback.yml", "-i", str(chain.folder / "chain.yml")).expect()
    assert chain.image("one").id == second
    (newest,) = [tag.rpartition(":")[2] for tag in engine.images.get(third).tags if ":release-" in tag]
    chain.build("-e", f"tier_release={newest}", playbook="playbooks/rollback.yml").expect()
    assert chain.image("one").id == third


def test_releases_that_are_not_kept_are_forgotten_and_what_is_named_stays(old, engine):
    chain, (_first, second, third) = old
    done = prune(chain, "-e", "tier_keep_releases=1").expect()
    assert len(re.findall(r"^release-\w+ is not kept$", done.output, re.MULTILINE)) == 1
    assert {tag.rpartition(":")[2][:4] for tag in engine.images.get(second).tags} == {"prev", "key-"}
    assert chain.image("one").id == third
    assert chain.image("top").labels[labels.PARENT] == third
    assert chain.image("base").tags
    assert "there is nothing to remove" in prune(chain, "-e", "tier_keep_releases=1").expect().output
    assert chain.build().expect().output.count("keep   nothing changed") == 3


def test_a_passed_tier_of_a_failed_branch_saves_its_build(small_chain):
    small_chain.tier("one", WRITE, parent="base").tier("top", "- ansible.builtin.fail:\n", parent="one")
    small_chain.build().expect(2)
    prune(small_chain).expect()
    assert "one   keep   built before as" in small_chain.build("--check").expect().output
    small_chain.tier("one", WRITE + "# another\n", parent="base")
    assert re.search(r"^one +sha256:\w+  3\.0 MB$", prune(small_chain).expect().output, re.MULTILINE)


def test_an_abandoned_build_container_goes_and_a_young_one_stays(small_chain, engine):
    small_chain.build().expect()
    base = small_chain.image("base").id
    mine = {"label": f"{labels.CHAIN}={small_chain.name}"}
    for run in ("20200101T000000Z-00000000", "20990101T000000Z-00000000"):
        said = {labels.CHAIN: small_chain.name, labels.RUN: run, labels.TIER: "one"}
        engine.containers.create(base, command=["-"], name=f"tierwright-{run}-one", labels=said)
    try:
        done = prune(small_chain).expect()
        assert "build containers of run 20200101T000000Z-00000000" in done.output
        assert [each.name for each in engine.containers.list(all=True, filters=mine)] == [
            "tierwright-20990101T000000Z-00000000-one"
        ]
    finally:
        for container in engine.containers.list(all=True, filters=mine):
            container.remove()


def test_an_interpreter_that_no_image_needs_goes(small_chain, engine, demo):
    name = f"tierwright-python-{secrets.token_hex(8)}"
    needed = mounted_python.volume_name(
        next(mounted_python.python_sources(as_engine(engine).images.get(demo["base"].id)))
    )
    here = {volume.name for volume in engine.volumes.list(filters={"label": f"{labels.PYTHON}={needed}"})}
    engine.volumes.create(name, labels={labels.PYTHON: name, labels.VOLUME: f"{name}-1"})
    engine.volumes.create(f"{name}-1", labels={labels.PYTHON: name})
    try:
        small_chain.write()
        done = prune(small_chain).expect()
        assert f"volume {name}\n" in done.output
        assert f"volume {name}-1\n" in done.output
        left = {volume.name for volume in engine.volumes.list()}
        assert left & {name, f"{name}-1"} == set()
        assert here <= left
    finally:
        for volume in engine.volumes.list(filters={"label": f"{labels.PYTHON}={name}"}):
            volume.remove()


@pytest.mark.usefixtures("demo")
def test_a_cache_of_a_family_that_no_image_is_of_goes(small_chain, engine):
    family = f"test{secrets.token_hex(4)}"
    made = engine.volumes.create(f"tierwright-cache-{family}", labels={labels.CACHE: family})
    small_chain.write()
    assert f"volume {made.name}\n" in prune(small_chain).expect().output
    left = {volume.name for volume in engine.volumes.list()}
    assert made.name not in left
    assert "tierwright-cache-debian" in left


def test_a_wrong_number_of_releases_is_told(small_chain):
    small_chain.write()
    refused = prune(small_chain, "-e", "tier_keep_releases=0").expect(2)
    assert "tier_keep_releases is '0'; expected a number of releases, 1 or more" in refused.message


def test_a_base_that_several_chains_share_stays(small_chain, engine):
    small_chain.build().expect()
    prune(small_chain, "-e", "tier_keep_releases=1").expect()
    assert engine.images.get(f"{SHARED_BASE}:latest")
