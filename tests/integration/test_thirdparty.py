"""Roles that others own: from a Git repository, and from a collection."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

from .conftest import ROOT, remove_images

pytestmark = pytest.mark.once

INVENTORY = "inventories/thirdparty"
COMMANDS = re.search(r"```sh\n(.*?)```", (ROOT / INVENTORY / "README.md").read_text(), re.DOTALL)[1]
NEW_TASK = "\n- name: Say more\n  ansible.builtin.copy: {content: x, dest: /etc/lighttpd/more, mode: '0644'}\n"


class Project:
    """A clone of the project as far as its users' commands need it, in a folder of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        shutil.copytree(ROOT / INVENTORY, folder / INVENTORY, ignore=shutil.ignore_patterns("roles"))
        shutil.copytree(ROOT / "tests/thirdparty", folder / "tests/thirdparty")
        shutil.copy(ROOT / "ansible.cfg", folder)
        for shared in ("build-chain.yml", "playbooks", "roles"):
            (folder / shared).symlink_to(ROOT / shared)

    @property
    def requirements(self) -> Path:
        return self.folder / INVENTORY / "requirements.yml"

    def run(self, commands: str) -> str:
        """Run the commands as they stand in the README, but for where the repositories lie."""
        done = subprocess.run(
            ["bash", "-euc", commands.replace("/tmp/thirdparty", str(self.folder / "git"))],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory, environment, engine):
    project = Project(tmp_path_factory.mktemp("thirdparty"), environment)
    project.run(COMMANDS)
    yield project
    remove_images(engine, f"label={labels.CHAIN}=thirdparty")


def fetched(engine, image):
    """What a container of an image serves, run as its users run it."""
    container = engine.containers.run(image, detach=True)
    try:
        container.reload()
        networks = container.attrs["NetworkSettings"]["Networks"].values()
        address = next(network["IPAddress"] for network in networks)
        until = time.monotonic() + 30
        while True:
            try:
                with urlopen(f"http://{address}:8080/") as answer:
                    return answer.read().decode()
            except URLError:
                assert time.monotonic() < until, container.logs().decode()
                time.sleep(0.1)
    finally:
        container.remove(v=True, force=True)


@pytest.mark.usefixtures("project")
def test_the_readme_s_commands_build_what_serves_a_page(engine):
    assert "<h1>Built from another repository&#39;s role</h1>" in fetched(engine, "thirdparty/static-site:latest")


def test_the_images_say_whose_role_made_them_and_which_version(project, engine):
    commit = re.search(r"version: ([0-9a-f]{40})", project.requirements.read_text())[1][:12]
    for tier, role, version in (("web", "acme.web.lighttpd", "1.2.0"), ("static-site", "static_site", commit)):
        image = engine.images.get(f"thirdparty/{tier}:latest")
        assert (image.labels[labels.ROLE], image.labels[labels.REVISION]) == (role, version)
        assert image.history()[0]["CreatedBy"] == f"tierwright: tier {tier}: role {role} at {version}"
    assert json.loads(image.labels[labels.PROTECTS])[0]["paths"] == ["etc/apt", "etc/pam.*", "etc/ssl"]


def test_where_and_when_they_were_installed_makes_no_difference(project, tmp_path):
    elsewhere = Project(tmp_path, project.environment)
    told = elsewhere.run(COMMANDS.replace("build-chain.yml", "build-chain.yml --check"))
    assert len(re.findall(r"nothing changed", told)) == 3, told


def test_another_version_makes_its_tier_stale_and_names_the_role(project, tmp_path):
    upgraded = Project(tmp_path, project.environment)
    tasks = upgraded.folder / "tests/thirdparty/web/roles/lighttpd/tasks/main.yml"
    tasks.write_text(tasks.read_text() + NEW_TASK)
    told = upgraded.run(COMMANDS.replace("build-chain.yml", "build-chain.yml --check"))
    assert re.search(r"web.*role lighttpd/tasks/main.yml changed", told), told
    assert re.search(r"static-site.*parent web is built", told), told
