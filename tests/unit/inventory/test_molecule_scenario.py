"""What a scenario of Molecule adds to an inventory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.molecule import FOLDER
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.molecule_scenario import read_scenario

IMAGE = f"docker.io/library/debian@sha256:{'0a' * 32}"


def settings(**platform):
    return {"platforms": [{"name": "molecule", **platform}]}


@pytest.fixture
def role(tmp_path):
    (tmp_path / "my_web/tasks").mkdir(parents=True)
    return tmp_path / "my_web"


def test_a_tier_of_the_chain_is_found_by_the_name_of_the_role(role):
    scenario = read_scenario(settings(), role, {"base", "my-web"})
    assert (scenario.tier, scenario.added, scenario.makes_parent) == ("my-web", {}, False)
    assert read_scenario(settings(tier="base"), role, {"base", "my-web"}).tier == "base"


def test_an_image_as_parent_needs_no_chain(role):
    scenario = read_scenario(settings(parent=IMAGE), role, ())
    assert scenario.makes_parent
    assert scenario.added["my-web-parent"]["tier_pull"] == IMAGE
    assert scenario.added["my-web"]["tier_parent"] == "my-web-parent"
    assert scenario.added["my-web"]["tier_role"] == str(role)


def test_the_parent_can_be_a_tier_of_the_chain(role):
    scenario = read_scenario(settings(parent="base"), role, {"base"})
    assert set(scenario.added) == {"my-web"}
    assert scenario.added["my-web"]["tier_parent"] == "base"
    assert not scenario.makes_parent


def test_roles_of_two_projects_have_different_chains(role, tmp_path):
    other = tmp_path / "other/my_web"
    (other / "meta").mkdir(parents=True)
    chains = {read_scenario(settings(parent=IMAGE), folder, ()).chain for folder in (role, other, role)}
    assert len(chains) == 2
    assert all(re.fullmatch("molecule-my-web-[0-9a-f]{8}", chain) for chain in chains)


@pytest.mark.parametrize(
    ("given", "tiers", "message"),
    [
        ({"platforms": []}, (), "platforms has 0 of them; expected exactly one"),
        ({"platforms": [{"name": "a"}, {"name": "b"}]}, (), "has 2 of them"),
        ({}, (), "platforms has None"),
        (settings(), (), "the tier 'my-web' has no parent, and there is no inventory .* parent: 'docker.io"),
        (settings(), ("base",), "the inventory has no tier 'my-web'; its tiers are base. Set platforms"),
        (settings(parent="debian:13"), (), "parent is 'debian:13'; expected an image by digest, name@sha256:…. A tag"),
        (settings(parent="debian:13"), ("b", "a"), "or a tier of the inventory \\(a, b\\)"),
        (settings(parent=13), (), "parent is 13; expected an image by digest"),
        (settings(parent=IMAGE), ("my-web",), "the inventory has the tier 'my-web' with a parent of its own; remove"),
        (settings(tier="A b", parent=IMAGE), (), "the tier is 'A b', which cannot be a part of an image's name"),
        (settings(tier=7), (), "the tier is 7, which"),
    ],
)
def test_a_wrong_scenario_is_an_error(role, given, tiers, message):
    with pytest.raises(ChainError, match=message):
        read_scenario(given, role, tiers)


def test_a_folder_that_is_not_a_role_is_an_error(tmp_path):
    with pytest.raises(ChainError, match=re.escape(f"{tmp_path} is not a role: it has neither tasks/ nor meta/")):
        read_scenario(settings(tier="web", parent=IMAGE), tmp_path, ())


class Steps:
    """Runs Ansible as Molecule does."""

    def __init__(self, role: Path) -> None:
        self._role = role
        self._state = role.parent / "state"
        self._state.mkdir()

    def run(self, program, *arguments, platform, chain=None):
        file = self._state / "molecule.yml"
        file.write_text(yaml.safe_dump(settings(**platform)))
        molecule = self._state / "molecule_inventory.yml"
        molecule.write_text(yaml.safe_dump({"all": {"hosts": {platform.get("name", "molecule"): None}}}))
        sources = [molecule, chain or "localhost,", FOLDER / "inventory.yml"]
        environment = {
            **os.environ,
            "MOLECULE_PROJECT_DIRECTORY": str(self._role),
            "MOLECULE_FILE": str(file),
            "MOLECULE_EPHEMERAL_DIRECTORY": str(self._state),
            "DOCKER_HOST": "unix:///nonexistent",
            **({"TIERWRIGHT_INVENTORY": str(chain)} if chain else {}),
        }
        return subprocess.run(
            [Path(sys.executable).with_name(program), *(f"--inventory={source}" for source in sources), *arguments],
            cwd=self._role,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def variables(self, host, **options):
        process = self.run("ansible-inventory", "--list", "--export", "--yaml", **options)
        assert process.returncode == 0, process.stderr
        tiers = yaml.safe_load(process.stdout)["all"]["children"]["tiers"]
        return (tiers.get("hosts") or {}).get(host) or tiers["children"]["operations"]["hosts"][host]


def test_the_inventory_has_the_tiers_of_the_scenario(role):
    steps = Steps(role)
    variables = steps.variables("my-web", platform={"parent": IMAGE})
    assert variables["tier_parent"] == "my-web-parent"
    assert steps.variables("my-web-parent", platform={"parent": IMAGE})["tier_chain"] == variables["tier_chain"]


def test_no_tier_keeps_the_name_of_the_users_chain(role, tmp_path):
    """Otherwise the step destroy would remove the images of that chain."""
    chain = tmp_path / "chain.yml"
    hosts = {"base": {"tier_pull": IMAGE, "tier_chain": "mine"}, "my-web": {"tier_parent": "base"}}
    chain.write_text(yaml.safe_dump({"tiers": {"children": {"operations": {"hosts": hosts}}}}))
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/tiers.yml").write_text("tier_chain: mine\n")
    steps = Steps(role)
    names = {steps.variables(tier, platform={}, chain=chain)["tier_chain"] for tier in hosts}
    assert len(names) == 1
    assert names.pop().startswith("molecule-my-web-")


@pytest.mark.parametrize("step", ["create", "converge", "seal", "destroy"])
def test_every_step_fails_with_the_message(role, step):
    process = Steps(role).run("ansible-playbook", FOLDER / f"{step}.yml", platform={})
    assert process.returncode == 2
    assert "the tier 'my-web' has no parent" in process.stdout + process.stderr


def test_a_step_works_on_the_tier(role):
    """The engine does not answer, and the tier says so."""
    process = Steps(role).run("ansible-playbook", FOLDER / "destroy.yml", platform={"parent": IMAGE})
    assert "fatal: [my-web]" in process.stdout
    assert "/nonexistent" in process.stdout + process.stderr
