"""Prune on a real engine: what it removes, how much space that frees, and what it never removes."""

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


def removable(engine):
    """Everything on the engine that could be removed."""
    named = {image.id: sorted(image.tags) for image in engine.images.list()}
    return (
        named,
        {container.id for container in engine.containers.list(all=True)},
        {volume.name for volume in engine.volumes.list()},
    )


def is_gone(engine, image):
    try:
        engine.images.get(image)
    except docker.errors.ImageNotFound:
        return True
    return False


@pytest.fixture(scope="module")
def three_releases(make_chain, tmp_path_factory):
    """A chain with three releases of one tier, and the images of that tier, the oldest first.

    The tests that use it depend on their order: each of them starts with the images that the previous one left.
    """
    with make_chain(tmp_path_factory.mktemp("chain")) as chain:
        chain.tier("top", WRITE, parent="one")
        images = []
        for version in range(3):
            chain.tier("one", WRITE.replace("VERSION", str(version)), parent="base")
            chain.build("--limit", "base,one" if version < 2 else "all").expect()
            images.append(chain.image("one").id)
        prune(chain).expect()  # nothing of this chain, only interpreters of bases that are gone
        yield chain, images


def test_check_lists_unneeded_images_and_removes_none(three_releases, engine):
    chain, (first, *_others) = three_releases
    before = removable(engine)
    listed = prune(chain, "--check", "-e", "tier_keep_releases=1").expect()
    assert removable(engine) == before
    assert re.search(rf"^one +{first[:19]}  3\.0 MB$", listed.output, re.MULTILINE)
    assert "would free 3.0 MB" in listed.output
    assert "there is nothing to remove" in prune(chain).expect().output


def test_images_and_containers_that_others_made_of_a_tier_stay(small_chain, engine):
    """A container of an image, a build based on it, and a commit of the container: their labels are those of a tier."""
    images = []
    for version in range(3):
        small_chain.tier("one", WRITE.replace("VERSION", str(version)), parent="base").build().expect()
        images.append(small_chain.image("one").id)
    container = engine.containers.create(images[0], command=["-"])
    try:
        assert images[0][:19] not in prune(small_chain, "-e", "tier_keep_releases=1").expect().output
        assert not is_gone(engine, images[0])
        committed = container.commit()
    finally:
        container.remove()
    dockerfile = f"FROM {images[0]}\nENV THEIRS=yes\n"
    built, _log = engine.images.build(fileobj=io.BytesIO(dockerfile.encode()), rm=True)
    try:
        assert built.labels[labels.CHAIN] == committed.labels[labels.CHAIN] == small_chain.name
        result = prune(small_chain, "-e", "tier_keep_releases=1").expect()
        assert built.id[:19] not in result.output
        assert committed.id[:19] not in result.output
        assert not is_gone(engine, built.id)
        assert not is_gone(engine, committed.id)
    finally:
        for image in (built.id, committed.id):
            engine.images.remove(image)


def test_a_rollback_to_a_kept_release_works(three_releases, engine):
    chain, (first, second, third) = three_releases
    assert "freed 3.0 MB" in prune(chain, "-e", "tier_keep_releases=2").expect().output
    assert is_gone(engine, first)
    chain.playbook("playbooks/rollback.yml", "-i", str(chain.folder / "chain.yml")).expect()
    assert chain.image("one").id == second
    (newest,) = [tag.rpartition(":")[2] for tag in engine.images.get(third).tags if ":release-" in tag]
    chain.build("-e", f"tier_release={newest}", playbook="playbooks/rollback.yml").expect()
    assert chain.image("one").id == third


def test_other_releases_are_removed_and_named_images_stay(three_releases, engine):
    chain, (_first, second, third) = three_releases
    result = prune(chain, "-e", "tier_keep_releases=1").expect()
    assert len(re.findall(r"^release-\w+ is not kept$", result.output, re.MULTILINE)) == 1
    assert {tag.rpartition(":")[2][:4] for tag in engine.images.get(second).tags} == {"prev", "key-"}
    assert chain.image("one").id == third
    assert chain.image("top").labels[labels.PARENT] == third
    assert chain.image("base").tags
    assert "there is nothing to remove" in prune(chain, "-e", "tier_keep_releases=1").expect().output
    assert chain.build().expect().output.count("keep   nothing changed") == 3


def test_the_image_of_a_passed_tier_of_a_failed_branch_stays(small_chain):
    small_chain.tier("one", WRITE, parent="base").tier("top", "- ansible.builtin.fail:\n", parent="one")
    small_chain.build().expect(2)
    prune(small_chain).expect()
    assert "one   keep   built before as" in small_chain.build("--check").expect().output
    small_chain.tier("one", WRITE + "# another\n", parent="base")
    assert re.search(r"^one +sha256:\w+  3\.0 MB$", prune(small_chain).expect().output, re.MULTILINE)


def test_an_abandoned_build_container_is_removed_and_a_recent_one_stays(small_chain, engine):
    small_chain.build().expect()
    base = small_chain.image("base").id
    filters = {"label": f"{labels.CHAIN}={small_chain.name}"}
    for run in ("20200101T000000Z-00000000", "20990101T000000Z-00000000"):
        container_labels = {labels.CHAIN: small_chain.name, labels.RUN: run, labels.TIER: "one"}
        engine.containers.create(base, command=["-"], name=f"tierwright-{run}-one", labels=container_labels)
    try:
        result = prune(small_chain).expect()
        assert "build containers of run 20200101T000000Z-00000000" in result.output
        assert [container.name for container in engine.containers.list(all=True, filters=filters)] == [
            "tierwright-20990101T000000Z-00000000-one"
        ]
    finally:
        for container in engine.containers.list(all=True, filters=filters):
            container.remove()


def test_an_unneeded_interpreter_is_removed(small_chain, engine, demo):
    name = f"tierwright-python-{secrets.token_hex(8)}"
    needed = mounted_python.volume_name(
        next(mounted_python.python_sources(as_engine(engine).images.get(demo["base"].id)))
    )
    existing = {volume.name for volume in engine.volumes.list(filters={"label": f"{labels.PYTHON}={needed}"})}
    engine.volumes.create(name, labels={labels.PYTHON: name, labels.VOLUME: f"{name}-1"})
    engine.volumes.create(f"{name}-1", labels={labels.PYTHON: name})
    try:
        small_chain.write()
        result = prune(small_chain).expect()
        assert f"volume {name}\n" in result.output
        assert f"volume {name}-1\n" in result.output
        remaining = {volume.name for volume in engine.volumes.list()}
        assert remaining & {name, f"{name}-1"} == set()
        assert existing <= remaining
    finally:
        for volume in engine.volumes.list(filters={"label": f"{labels.PYTHON}={name}"}):
            volume.remove()


@pytest.mark.usefixtures("demo")
def test_the_cache_of_an_unused_family_is_removed(small_chain, engine):
    family = f"test{secrets.token_hex(4)}"
    cache = engine.volumes.create(f"tierwright-cache-{family}", labels={labels.CACHE: family})
    small_chain.write()
    assert f"volume {cache.name}\n" in prune(small_chain).expect().output
    remaining = {volume.name for volume in engine.volumes.list()}
    assert cache.name not in remaining
    assert "tierwright-cache-debian" in remaining


def test_an_invalid_number_of_releases_is_rejected(small_chain):
    small_chain.write()
    failed = prune(small_chain, "-e", "tier_keep_releases=0").expect(2)
    assert "tier_keep_releases is '0'; expected a number of releases, 1 or more" in failed.message


def test_a_shared_base_stays(small_chain, engine):
    small_chain.build().expect()
    prune(small_chain, "-e", "tier_keep_releases=1").expect()
    assert engine.images.get(f"{SHARED_BASE}:latest")
