"""Bases from outside: images that are pulled by digest, also hostile ones, and malicious archives."""

from __future__ import annotations

import subprocess
import tarfile
from typing import Any

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

from .conftest import SmallChain, run_container

TASKS = """
- name: Be root all the same
  ansible.builtin.command: id -u
  register: uid
  failed_when: uid.stdout != '0'
- name: Install a package
  ansible.builtin.apt: {name: hello, update_cache: true, install_recommends: false}
"""
VOLUME = """
- name: Make the folder of the parent's volume
  ansible.builtin.file: {path: /srv/data, state: directory, mode: "0755"}
- name: Write where the parent has a volume
  ansible.builtin.copy: {content: kept, dest: /srv/data/file, mode: "0644"}
"""


@pytest.mark.once
def test_a_tier_can_be_built_on_a_hostile_image(
    small_chain: SmallChain, engine: Any, hostile: str, demo: dict[str, Any]
) -> None:
    small_chain.tier("base", pull=hostile)
    small_chain.tier("heir", TASKS, parent="base")
    quiet = {
        "entrypoint": ["/bin/cat"],
        "cmd": ["/srv/data/file"],
        "user": "0",
        "volumes": [],
        "ports": [],
        "healthcheck": {},
    }
    small_chain.tier("free", TASKS + VOLUME, parent="base", config={**quiet, "working_dir": "/", "stop_signal": ""})
    small_chain.build().expect()

    base, heir, free = (small_chain.image(tier) for tier in ("base", "heir", "free"))
    assert base.attrs["RootFS"]["Layers"][:1] == demo["base"].attrs["RootFS"]["Layers"]
    count = len(base.attrs["RootFS"]["Layers"])
    for image in (heir, free):
        assert len(image.attrs["RootFS"]["Layers"]) == count + 1
        assert image.attrs["RootFS"]["Layers"][:count] == base.attrs["RootFS"]["Layers"]
        assert not image.attrs["Config"].get("OnBuild")
    # A tier inherits the settings that it does not set itself.
    config = heir.attrs["Config"]
    assert (config["Entrypoint"], config["Cmd"], config["User"]) == (["/bin/false"], ["swallowed"], "1001")
    assert set(config["Volumes"]) == {"/srv/data", "/etc/apt"}
    assert config["Labels"]["org.example.kept"] == "yes"
    assert config["Labels"][labels.TIER] == "heir"
    config = free.attrs["Config"]
    assert not config.get("Volumes")
    assert not config.get("ExposedPorts")
    assert config.get("Healthcheck", {"Test": ["NONE"]}) == {"Test": ["NONE"]}  # Podman does not report it
    assert run_container(engine, free.id) == "kept"


@pytest.mark.once
def test_an_image_that_the_registry_lacks_is_reported(small_chain: SmallChain, registry: str) -> None:
    small_chain.tier("base", pull=f"{registry}/nothing@sha256:{'0' * 64}")
    failed = small_chain.build().expect(2)
    assert f"tier 'base': pulling tier_pull {registry}/nothing@sha256:000" in failed.message


@pytest.mark.once
def test_an_archive_with_a_path_outside_its_root_is_rejected(small_chain: SmallChain, tmp_path: Any) -> None:
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        tar.addfile(tarfile.TarInfo("../../etc/evil"))
    digest = subprocess.run(["sha256sum", str(archive)], check=True, capture_output=True, text=True).stdout.split()[0]
    small_chain.tier("base", **{"import": {"archive": "evil.tar", "checksum": f"sha256:{digest}"}})
    failed = small_chain.build().expect(2)
    assert "has an entry '../../etc/evil' outside the root file system" in failed.message
    assert not small_chain.released("base")


@pytest.mark.once
def test_an_unknown_suite_is_reported(small_chain: SmallChain) -> None:
    small_chain.tier("base", bootstrap={"suite": "nosuchsuite"})
    failed = small_chain.build().expect(2)
    assert "tier 'base': tier_bootstrap of suite 'nosuchsuite' failed" in failed.message
