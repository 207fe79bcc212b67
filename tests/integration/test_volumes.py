"""Writes beneath a volume that a tier inherits."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.once

WRITE = "- name: Write\n  ansible.builtin.copy: {content: x, dest: /srv/data/more, mode: '0644'}\n"
FOLDER = "- name: Make it\n  ansible.builtin.file: {path: /srv/data, state: directory, mode: '0755'}\n"


@pytest.fixture
def chain(small_chain):
    return small_chain.tier("db", FOLDER, parent="base", config={"volumes": ["/srv/data"]})


def test_it_is_refused_with_tier_path_and_owner(chain):
    chain.tier("plain", FOLDER, parent="db").tier("shop", FOLDER + WRITE, parent="plain")
    failed = chain.build().expect(2)
    assert (
        "tier 'shop': its role changed /srv/data/more beneath /srv/data, which is a volume that tier 'db' declares"
        in (failed.message)
    )
    assert "say in tier_config.volumes" in failed.message
    assert not chain.released("shop")


def test_removing_what_the_owner_put_there_is_a_write_too(small_chain):
    small_chain.tier("db", FOLDER + WRITE, parent="base", config={"volumes": ["/srv/data"]})
    remove = "- name: Remove\n  ansible.builtin.file: {path: /srv/data/more, state: absent}\n"
    failed = small_chain.tier("shop", remove, parent="db").build().expect(2)
    assert "changed /srv/data/more beneath /srv/data" in failed.message


def test_the_directory_s_own_mode_may_change(chain):
    chain.tier("shop", FOLDER.replace("0755", "0770"), parent="db")
    chain.build().expect()
    assert chain.run("shop", "stat", "-c", "%a", "/srv/data") == "770\n"


@pytest.mark.parametrize("said", [["/srv/data"], []])
def test_a_tier_that_says_its_volumes_may_write(chain, said):
    chain.tier("shop", FOLDER + WRITE, parent="db", config={"volumes": said})
    chain.build().expect()
    assert chain.run("shop", "cat", "/srv/data/more") == "x"
    assert list(chain.image("shop").attrs["Config"]["Volumes"] or {}) == said
