"""Writes below a volume that a tier inherits."""

from __future__ import annotations

import pytest

from .conftest import run_container
from .saved_chain import names_of

pytestmark = pytest.mark.once

WRITE = "- name: Write\n  ansible.builtin.raw: printf x > /srv/data/more\n"
REMOVE = "- name: Remove\n  ansible.builtin.raw: rm /srv/data/file\n"
FOLDER = "- name: Make it\n  ansible.builtin.raw: mkdir -p /srv/data; chmod 0755 /srv/data\n"
FILLED = FOLDER + "- name: Fill it\n  ansible.builtin.raw: printf y > /srv/data/file\n"


@pytest.fixture(scope="module")
def built(make_chain, tmp_path_factory):
    """A chain in which tiers change files below a volume in every way, and the message of its run."""
    with make_chain(tmp_path_factory.mktemp("chain")) as chain:
        chain.tier("db", FILLED, parent="base", config={"volumes": ["/srv/data"]}).tier("plain", FOLDER, parent="db")
        chain.tier("writes", WRITE, parent="plain").tier("removes", REMOVE, parent="plain")
        chain.tier("mode", FOLDER.replace("0755", "0770"), parent="db")
        chain.tier("has", WRITE, parent="db", role="writes", config={"volumes": ["/srv/data"]})
        chain.tier("none", parent="db", role="writes", config={"volumes": []})
        yield chain, chain.build().expect(2).message


def image_name(chain, tier):
    """Name of the image of a tier, which is not released because tiers of its branch were rejected."""
    (name,) = [tag for tag in names_of(chain) if tag.startswith(f"{chain.name}/{tier}:key-")]
    return name


def test_a_write_is_rejected_with_tier_path_and_owner(built):
    chain, message = built
    assert (
        "tier 'writes': its role changed /srv/data/more below /srv/data, which is a volume that tier 'db' declares"
        in (message)
    )
    assert "list in tier_config.volumes" in message
    assert not chain.released("writes")


def test_removing_a_file_of_the_owner_is_rejected(built):
    chain, message = built
    assert "tier 'removes': its role changed /srv/data/file below /srv/data" in message
    assert not chain.released("removes")


def test_the_mode_of_the_directory_may_change(built, engine):
    chain, _message = built
    assert run_container(engine, image_name(chain, "mode"), ["stat", "-c", "%a", "/srv/data"]) == "770\n"


@pytest.mark.parametrize(("tier", "volumes"), [("has", ["/srv/data"]), ("none", [])])
def test_a_tier_that_sets_volumes_may_write(built, engine, tier, volumes):
    image = image_name(built[0], tier)
    assert run_container(engine, image, ["cat", "/srv/data/more"]) == "x"
    assert list(engine.images.get(image).attrs["Config"]["Volumes"] or {}) == volumes
