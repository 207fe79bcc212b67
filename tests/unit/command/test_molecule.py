"""`tierwright molecule` becomes molecule, with the shared settings and what the role's repository says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command import molecule
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.molecule import (
    FOLDER,
    base_configs,
    molecule_environment,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import UsageError

COMMAND = Path(sys.executable).parent / "tierwright"
#: A "Molecule" that shows what it gets.
FAKE = """
import json, os, sys
print(json.dumps([sys.argv[1:], os.environ["TIERWRIGHT_MOLECULE"], os.environ.get("TIERWRIGHT_INVENTORY")]))
raise SystemExit(7)
"""


@pytest.fixture
def role(tmp_path):
    """A role in a repository."""
    folder = tmp_path / "shop/roles/web"
    folder.mkdir(parents=True)
    (tmp_path / "shop/.git").mkdir()
    return folder


def inventory_of(role, environment=None, given=None):
    return molecule_environment(role, environment or {}, given).get("TIERWRIGHT_INVENTORY")


def write_config(role, inventory, name="chain.yml"):
    project = role.parents[1]
    (project / name).touch()
    (project / "ansible.cfg").write_text(f"[defaults]\ninventory = {inventory}\n")
    return project


def test_it_becomes_molecule(role, tmp_path):
    project = write_config(role, "chain.yml")
    (tmp_path / "molecule").mkdir()
    (tmp_path / "molecule/__init__.py").touch()
    (tmp_path / "molecule/__main__.py").write_text(FAKE)
    process = subprocess.run(
        [COMMAND, "molecule", "test", "-s", "default", "--", "-v"],
        cwd=role,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 7, process.stderr
    arguments, folder, inventory = json.loads(process.stdout)
    assert arguments == ["--base-config", f"{folder}/config.yml", "test", "-s", "default", "--", "-v"]
    assert Path(folder).samefile(FOLDER)
    assert inventory == str(project / "chain.yml")


def test_programs_of_this_environment_come_first(role):
    environment = molecule_environment(role, {"PATH": "/usr/bin"}, None)
    assert environment["PATH"] == f"{Path(sys.executable).parent}{os.pathsep}/usr/bin"


def test_settings_of_the_repository_override_the_shared_ones(role):
    assert list(base_configs(role)) == [FOLDER / "config.yml"]
    own = role.parents[1] / ".config/molecule/config.yml"
    own.parent.mkdir(parents=True)
    own.touch()
    assert list(base_configs(role)) == [FOLDER / "config.yml", own]


def test_without_an_ansible_cfg_there_is_no_inventory(role):
    assert inventory_of(role) is None
    assert "ANSIBLE_CONFIG" not in molecule_environment(role, {}, None)


@pytest.mark.parametrize("line", ["chain.yml", "./chain.yml ; the chain", "$HOME/../chain.yml"])
def test_the_inventory_is_that_of_ansible_cfg(role, line, monkeypatch):
    monkeypatch.setenv("HOME", str(role.parent))
    project = write_config(role, line)
    assert Path(inventory_of(role)).samefile(project / "chain.yml")
    assert molecule_environment(role, {}, None)["ANSIBLE_CONFIG"] == str(project / "ansible.cfg")


def test_the_option_and_then_the_variables_have_priority(role, tmp_path):
    write_config(role, "chain.yml")
    for name in "abc":
        (tmp_path / name).touch()
    ansible, ours = {"ANSIBLE_INVENTORY": f"{tmp_path}/c"}, {"TIERWRIGHT_INVENTORY": f"{tmp_path}/b"}
    assert inventory_of(role, ansible) == f"{tmp_path}/c"
    assert inventory_of(role, {**ansible, **ours}) == f"{tmp_path}/b"
    assert inventory_of(role, {**ansible, **ours}, f"{tmp_path}/a") == f"{tmp_path}/a"


@pytest.mark.parametrize("repository", [True, False])
def test_files_outside_of_the_project_do_not_count(role, tmp_path, repository):
    """They may belong to somebody else: for example in /tmp."""
    (tmp_path / "ansible.cfg").write_text("[defaults]\ninventory = elsewhere\n")
    if not repository:
        (role.parents[1] / ".git").rmdir()
    assert inventory_of(role) is None
    project = write_config(role, "chain.yml")
    assert inventory_of(role) == str(project / "chain.yml")


@pytest.mark.parametrize(
    ("line", "message"),
    [("a, b", r"names several inventories \(a, b\)"), ("missing.yml", "there is no inventory .*missing.yml; name")],
)
def test_an_inventory_that_cannot_be_used_is_an_error(role, line, message):
    write_config(role, line)
    with pytest.raises(UsageError, match=message):
        inventory_of(role)


def test_an_ansible_cfg_that_cannot_be_read_is_an_error(role):
    (role.parents[1] / "ansible.cfg").write_text("no section\n")
    with pytest.raises(UsageError, match=r"ansible\.cfg cannot be read: File contains no section headers"):
        inventory_of(role)


def test_without_molecule_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(molecule.importlib.util, "find_spec", lambda _name: None)
    result = CliRunner().invoke(tierwright, ["molecule", "test"])
    assert result.exit_code == 3
    assert f"{sys.executable} -m pip install molecule" in result.output


def test_the_folder_is_printed_and_arguments_are_expected():
    assert CliRunner().invoke(tierwright, ["molecule", "--folder"]).output == f"{FOLDER}\n"
    result = CliRunner().invoke(tierwright, ["molecule"])
    assert result.exit_code == 2
    assert "for example: tierwright molecule test" in result.output


def test_molecule_itself_refuses_the_settings_without_the_variable(role):
    """Molecule skips playbooks that do not exist, and would say that it was successful."""
    (role / "molecule/default").mkdir(parents=True)
    (role / "molecule/default/molecule.yml").write_text("---\n")
    words = [sys.executable, "-m", "molecule", "--base-config", FOLDER / "config.yml", "list"]
    environment = {name: value for name, value in os.environ.items() if name != "TIERWRIGHT_MOLECULE"}
    for variables, expected in (({}, False), ({"TIERWRIGHT_MOLECULE": str(FOLDER)}, True)):
        process = subprocess.run(
            words, cwd=role, env={**environment, **variables}, capture_output=True, text=True, check=False
        )
        output = process.stdout + process.stderr
        assert (process.returncode == 0) == expected, output
        assert ("TIERWRIGHT_MOLECULE is not set; see docs/molecule.md" in output) != expected
