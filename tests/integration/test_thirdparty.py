"""Third-party roles, from a Git repository and from a collection."""

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

from .conftest import ROOT
from .removal import remove_images

pytestmark = pytest.mark.once

INVENTORY = "inventories/thirdparty"
COMMANDS = re.search(r"```sh\n(.*?)```", (ROOT / INVENTORY / "README.md").read_text(), re.DOTALL)[1]
NEW_TASK = "\n- name: Say more\n  ansible.builtin.copy: {content: x, dest: /etc/lighttpd/more, mode: '0644'}\n"


class Project:
    """The parts of the project that the commands of its users need, in a separate folder."""

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
        """Run commands of the README, with a different folder for the repositories."""
        process = subprocess.run(
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
        assert process.returncode == 0, process.stdout
        return process.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory, environment, engine):
    project = Project(tmp_path_factory.mktemp("thirdparty"), environment)
    project.run(COMMANDS)
    yield project
    remove_images(engine, f"label={labels.CHAIN}=thirdparty")


def served_page(engine, image):
    """The page that a container of an image serves, started as users start it."""
    container = engine.containers.run(image, detach=True)
    try:
        container.reload()
        networks = container.attrs["NetworkSettings"]["Networks"].values()
        address = next(network["IPAddress"] for network in networks)
        deadline = time.monotonic() + 30
        while True:
            try:
                with urlopen(f"http://{address}:8080/") as answer:
                    return answer.read().decode()
            except URLError:
                assert time.monotonic() < deadline, container.logs().decode()
                time.sleep(0.1)
    finally:
        container.remove(v=True, force=True)


@pytest.mark.usefixtures("project")
def test_the_commands_in_the_readme_build_a_web_server(engine):
    assert "<h1>Built from another repository&#39;s role</h1>" in served_page(engine, "thirdparty/static-site:latest")


def test_images_record_the_role_and_its_version(project, engine):
    commit = re.search(r"version: ([0-9a-f]{40})", project.requirements.read_text())[1][:12]
    for tier, role, version in (("web", "acme.web.lighttpd", "1.2.0"), ("static-site", "static_site", commit)):
        image = engine.images.get(f"thirdparty/{tier}:latest")
        assert (image.labels[labels.ROLE], image.labels[labels.REVISION]) == (role, version)
        assert image.history()[0]["CreatedBy"] == f"tierwright: tier {tier}: role {role} at {version}"
    assert json.loads(image.labels[labels.PROTECTS])[0]["paths"] == ["etc/apt", "etc/pam.*", "etc/ssl"]


def test_the_place_and_time_of_the_installation_do_not_matter(project, tmp_path):
    elsewhere = Project(tmp_path, project.environment)
    output = elsewhere.run(COMMANDS.replace("build-chain.yml", "build-chain.yml --check"))
    assert len(re.findall(r"nothing changed", output)) == 3, output


def test_a_new_version_of_a_role_makes_its_tier_stale(project, tmp_path):
    upgraded = Project(tmp_path, project.environment)
    tasks = upgraded.folder / "tests/thirdparty/web/roles/lighttpd/tasks/main.yml"
    tasks.write_text(tasks.read_text() + NEW_TASK)
    output = upgraded.run(COMMANDS.replace("build-chain.yml", "build-chain.yml --check"))
    assert re.search(r"web.*role lighttpd/tasks/main.yml changed", output), output
    assert re.search(r"static-site.*parent web is built", output), output
