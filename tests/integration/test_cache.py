"""The cache that build containers share: nothing is downloaded twice, and nothing in the cache is trusted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

pytestmark = pytest.mark.once

INSTALL = """
- name: Install
  ansible.builtin.apt: {name: [rsync, sqlite3], update_cache: true, install_recommends: false}
"""

# Prints into the log how many bytes came over the network, and leaves no trace in the layer.
PRINT_RECEIVED = """
- name: Tell what came over the network
  ansible.builtin.shell: awk '/eth0/ {print "received", $2}' /proc/net/dev
  register: received
- name: Show it
  ansible.builtin.debug: {var: received.stdout}
"""

# `timeout` kills its process group: apt, our method, and the method of the distribution.
KILLED = """
- name: Fetch and be killed
  ansible.builtin.shell: |
    apt-get -qq update
    timeout --signal KILL 1 apt-get -qq --yes --no-install-recommends --download-only install git perl || true
"""

UPDATE = """
- name: Ask whether the lists are fresh
  ansible.builtin.apt: {update_cache: true, cache_valid_time: 86400}
  register: asked
- name: They were fetched
  ansible.builtin.assert: {that: asked.cache_updated, quiet: true}
"""

CHECK_DPKG = """
- name: Look
  ansible.builtin.command: dpkg --force-help
  register: look
- name: See
  ansible.builtin.assert:
    that: look.stdout.endswith('security-mac,downgrade,unsafe-io')
    quiet: true
- name: Sync a pipe, which the kernel rejects
  ansible.builtin.command:
    argv:
      - "{{ ansible_python_interpreter }}"
      - -c
      - import os; print(os.fsync(os.pipe()[0]))
  register: synced
- name: See that nothing was synced
  ansible.builtin.assert: {that: synced.stdout == "None", quiet: true}
"""

# Like the role corebuild, which keeps its image small.
CHECK_APT = """
- name: Switch the binary caches off
  ansible.builtin.copy:
    content: 'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";'
    dest: /etc/apt/apt.conf.d/80small
    mode: "0644"
- name: Look without /etc/apt/apt.conf
  ansible.builtin.command: apt-get -s check
  register: alone
- name: Write it
  ansible.builtin.copy: {content: 'Own::Setting "yes";', dest: /etc/apt/apt.conf, mode: "0644"}
- name: Look with it
  ansible.builtin.command: apt-config dump
  register: beside
- name: See
  ansible.builtin.assert:
    that:
      - alone.stderr == ""
      - '"Own::Setting \\"yes\\"" in beside.stdout'
      - '"Dir::Cache::pkgcache \\"/var/cache/apt/pkgcache.bin\\"" in beside.stdout'
    quiet: true
"""

CACHE = "tierwright-cache-debian"
SCHEMA = Path(__file__).parents[2] / "docs/schemas/tier_profile.json"
RELEASE_FILES = 1_500_000  # bytes, at most, for the Release files of three archives


def received(run):
    return [int(count) for count in re.findall(r"received (\d+)", run.expect().output)]


def in_cache(engine, script):
    """Run a script as a hostile build container could."""
    volume = {CACHE: {"bind": "/cache", "mode": "rw"}}
    image = engine.images.list(filters={"label": labels.FAMILY})[0].id
    return engine.containers.run(
        image, ["sh", "-c", f"cd /cache; {script}"], volumes=volume, remove=True, network_mode="none", user="0"
    ).decode()


def test_siblings_and_later_builds_download_nothing_twice(small_chain, engine):
    for name in ("one", "two", "three"):
        small_chain.tier(name, INSTALL + PRINT_RECEIVED, parent="base")
    small_chain.build()  # in parallel, with the same packages
    assert all(small_chain.released(name) for name in ("one", "two", "three"))
    before = [small_chain.image(name).id for name in ("one", "two", "three")]
    file = small_chain.folder / "profile.json"
    run = small_chain.build("-e", "tier_force=one,two,three", "-e", f"tier_profile={file}")
    sizes = received(run)
    assert len(sizes) == 3
    assert all(count < RELEASE_FILES for count in sizes), sizes
    assert [small_chain.image(name).id for name in ("one", "two", "three")] == before, "a profile changes no image"
    check_profile(run.output, json.loads(file.read_text()))
    volume = engine.volumes.get(CACHE)
    assert volume.attrs["Labels"] == {labels.CACHE: "debian"}
    assert "rsync" in small_chain.run("one", "dpkg-query", "--show", "rsync")
    assert (
        small_chain.run("one", "sh", "-c", "ls /var/lib/apt/lists /var/cache/apt/archives | grep -c deb; true") == "0\n"
    )


def check_profile(output, profile):
    jsonschema.validate(profile, json.loads(SCHEMA.read_text()))
    assert {tier["tier"] for tier in profile["tiers"]} == {"one", "two", "three"}
    assert {step["step"] for step in profile["steps"]} == {"plan", "promote"}
    for tier in profile["tiers"]:
        tasks = {task["task"]: task for task in tier["task_list"]}
        install, seal = tasks["Install"], tasks["Seal the layer"]
        phases = {phase["step"] for phase in install["apt"]}
        assert {"package lists", "open and plan", "copy from the cache", "unpack", "configure"} <= phases
        assert 0 < sum(phase["seconds"] for phase in install["apt"]) <= install["module"] <= install["seconds"]
        assert {"list the changes", "read", "hash", "write", "load"} <= {step["step"] for step in seal["steps"]}
    assert re.search(r"^TIER +ALL .*SEAL", output, re.MULTILINE)
    assert "slowest tasks:" in output


def test_a_poisoned_cache_is_not_used(small_chain, engine):
    small_chain.tier("one", INSTALL, parent="base")
    small_chain.build().expect()
    in_cache(engine, "for each in *; do printf poison | dd of=$each conv=notrunc bs=1 seek=200 status=none; done")
    small_chain.tier("two", INSTALL + PRINT_RECEIVED, parent="base")
    assert received(small_chain.build())[0] > RELEASE_FILES  # they were downloaded again
    assert small_chain.run("two", "dpkg", "--verify", "rsync", "sqlite3") == ""
    in_cache(engine, "for each in *; do [ $(sha256sum <$each | cut -c-64) = $each ] || rm -f $each; done")


def test_a_killed_build_leaves_no_incomplete_file_in_the_cache(small_chain, engine):
    small_chain.tier("one", KILLED, parent="base")
    small_chain.build().expect()
    incomplete = in_cache(engine, "ls -A | grep -vxE '[0-9a-f]{64}'; sha256sum * | awk '$1 != $2'")
    assert incomplete == ""


def test_cached_lists_never_hide_an_update(small_chain, engine):
    small_chain.tier("one", UPDATE, parent="base")
    small_chain.build().expect()
    # The cache has no Release files, so nothing in it can say what is new.
    assert in_cache(engine, "grep -lE '^(-----BEGIN PGP|Origin: )' * || true") == ""


def test_dpkg_does_not_wait_for_the_disk_and_leaves_no_trace_of_it(small_chain):
    small_chain.tier("one", CHECK_DPKG, parent="base")
    small_chain.tier("two", CHECK_APT, parent="base")
    small_chain.build().expect()
    assert "Own::Setting" in small_chain.run("two", "cat", "/etc/apt/apt.conf")
    assert small_chain.run("one", "sh", "-c", "grep -rl unsafe-io /etc || true") == ""
    assert "DPKG_FORCE" not in str(small_chain.image("one").attrs["Config"])
    assert "APT_CONFIG" not in str(small_chain.image("one").attrs["Config"])
