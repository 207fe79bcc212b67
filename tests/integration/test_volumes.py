"""Writes beneath a volume that a tier inherits."""

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
    """A tier with a volume, others that touch what is beneath it in all ways, and what the run said of them."""
    with make_chain(tmp_path_factory.mktemp("chain")) as chain:
        chain.tier("db", FILLED, parent="base", config={"volumes": ["/srv/data"]}).tier("plain", FOLDER, parent="db")
        chain.tier("writes", WRITE, parent="plain").tier("removes", REMOVE, parent="plain")
        chain.tier("mode", FOLDER.replace("0755", "0770"), parent="db")
        chain.tier("has", WRITE, parent="db", role="writes", config={"volumes": ["/srv/data"]})
        chain.tier("none", parent="db", role="writes", config={"volumes": []})
        yield chain, chain.build().expect(2).message


def built_as(chain, tier):
    """ID of a tier's image, which is not released: its branch has tiers that were refused."""
    (name,) = [tag for tag in names_of(chain) if tag.startswith(f"{chain.name}/{tier}:key-")]
    return name


def test_a_write_is_refused_with_tier_path_and_owner(built):
    chain, message = built
    assert (
        "tier 'writes': its role changed /srv/data/more below /srv/data, which is a volume that tier 'db' declares"
        in (message)
    )
    assert "say in tier_config.volumes" in message
    assert not chain.released("writes")


def test_removing_what_the_owner_put_there_is_a_write_too(built):
    chain, message = built
    assert "tier 'removes': its role changed /srv/data/file below /srv/data" in message
    assert not chain.released("removes")


def test_the_directory_s_own_mode_may_change(built, engine):
    chain, _message = built
    assert run_container(engine, built_as(chain, "mode"), ["stat", "-c", "%a", "/srv/data"]) == "770\n"


@pytest.mark.parametrize(("tier", "said"), [("has", ["/srv/data"]), ("none", [])])
def test_a_tier_that_says_its_volumes_may_write(built, engine, tier, said):
    image = built_as(built[0], tier)
    assert run_container(engine, image, ["cat", "/srv/data/more"]) == "x"
    assert list(engine.images.get(image).attrs["Config"]["Volumes"] or {}) == said
