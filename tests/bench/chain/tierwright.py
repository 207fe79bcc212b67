"""Builds the chain with Tierwright, and runs an empty play over the same inventory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from . import twins
from .commands import BuildError, run
from .contenders import BASE_IMAGE, REPOSITORY, Contender, remove_images

_PLAYBOOK = "tierwright.chain.build_chain"
_CACHE = "tierwright-cache-debian"
_EMPTY = "- name: Do nothing\n  hosts: all\n  gather_facts: false\n  tasks: []\n"


class Tierwright(Contender):
    """Tierwright, without the tests of the roles: a Dockerfile has none."""

    name = "tierwright"
    packages = f"keeps them in the engine's volume {_CACHE}"
    keeps_packages = True
    tested = False

    def prepare(self) -> None:
        write_project(self.folder, self.parents, tested=self.tested)
        if not _exists(self.image(twins.BASE)):
            self._play("--limit", twins.BASE)
        if not _exists(BASE_IMAGE):
            _make_plain_base(self.image(twins.BASE))

    def edit(self, tier: str, line: str) -> None:
        twins.edit(self.folder / "roles" / twins.role(tier) / "files", tier, line)

    def build(self, *, cold: bool) -> None:
        output = self._play()
        if cold and "built" not in output:
            raise BuildError(f"nothing was built:\n{output}")

    def forget(self) -> None:
        remove_images(_tags(list(self.parents)))

    def drop_packages(self) -> None:
        run(["docker", "volume", "rm", "--force", _CACHE])

    def version(self) -> str:
        return f"Tierwright, ansible-core {version('ansible-core')}"

    def image(self, tier: str) -> str:
        return f"{REPOSITORY}/{tier}:latest"

    def _play(self, *arguments: str) -> str:
        return play(self.folder, _PLAYBOOK, *arguments)


class Tested(Tierwright):
    """Tierwright with the tests of all roles."""

    name = "tierwright, tested"
    tested = True


class Empty(Contender):
    """An empty play over the same inventory: what Ansible itself needs to start."""

    name = "empty play"
    packages = "needs none"

    def prepare(self) -> None:
        write_project(self.folder, self.parents, tested=False)
        (self.folder / "empty.yml").write_text(_EMPTY)

    def edit(self, tier: str, line: str) -> None:
        """It reads no file of a role."""

    def build(self, *, cold: bool) -> None:
        _ = cold
        play(self.folder, "empty.yml")

    def version(self) -> str:
        return f"ansible-core {version('ansible-core')}"

    def forget(self) -> None:
        """It makes no image."""


def write_project(folder: Path, parents: Mapping[str, str], *, tested: bool) -> None:
    """Write a project with the variables and the roles of the demo chain.

    Args:
        folder: The folder of the project; it is made.
        parents: Its tiers, except the base.
        tested: Whether the roles have their tests.
    """
    demo = twins.ROOT / "inventories/wordpress"
    folder.mkdir(parents=True)
    inventory: dict[str, Any] = yaml.safe_load((demo / "chain.yml").read_text())
    teams = inventory["tiers"]["children"].values()
    for team in teams:
        team["hosts"] = {tier: settings for tier, settings in team["hosts"].items() if tier in {twins.BASE, *parents}}
    for tier in parents.keys() - twins.DEMO.keys():
        settings = {"tier_parent": parents[tier], "tier_role": twins.APPLICATION.name}
        inventory["tiers"]["children"]["development"]["hosts"][tier] = settings
    inventory["tiers"]["vars"] = {
        "tier_chain": REPOSITORY,
        "tier_image": f"{REPOSITORY}/{{{{ inventory_hostname }}}}",
    }
    (folder / "chain.yml").write_text(yaml.safe_dump(inventory, sort_keys=False))
    shutil.copytree(demo / "group_vars", folder / "group_vars")
    left_out = shutil.ignore_patterns("__pycache__", *(() if tested else ("tests",)))
    for tier in parents:
        role = folder / "roles" / twins.role(tier)
        if not role.exists():
            source = twins.ROLES / role.name if tier in twins.DEMO else twins.APPLICATION
            shutil.copytree(source, role, ignore=left_out)
    settings = {"inventory": "chain.yml", "roles_path": "roles", "forks": "20", "retry_files_enabled": "false"}
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (folder / "ansible.cfg").write_text(f"[defaults]\n{lines}")


def play(folder: Path, *arguments: str) -> str:
    """Run ``ansible-playbook`` of this environment in a project, with a state of its own.

    Raises:
        BuildError: It failed.
    """
    program = Path(sys.executable).with_name("ansible-playbook")
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(twins.ROOT / "collections"),
        "ANSIBLE_NOCOLOR": "true",
        "XDG_STATE_HOME": str(folder / "state"),
    }
    return run([program, *arguments], cwd=folder, env=settings)


def _exists(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], check=False, capture_output=True).returncode == 0


def _make_plain_base(base: str) -> None:
    """Make an image with the same files and no labels."""
    container = run(["docker", "create", base, "true"]).strip()
    try:
        path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export:
            words = ["docker", "import", "--change", path, "-", BASE_IMAGE]
            subprocess.run(words, stdin=export.stdout, check=True, stdout=subprocess.DEVNULL)
    finally:
        run(["docker", "rm", container])


def _tags(tiers: list[str]) -> list[str]:
    """All names of images of these tiers, children first."""
    names = []
    for tier in reversed(tiers):
        words = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", f"{REPOSITORY}/{tier}"]
        names += subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return names


def remove_base() -> None:
    """Remove the base of this bench."""
    remove_images([BASE_IMAGE, *_tags([twins.BASE])])
