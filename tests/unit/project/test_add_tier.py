"""A tier is added to a project: the inventory is found as Ansible finds it, and all or nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Bootstrap, Pull
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import NotFoundError, UsageError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.molecule_scenario import read_scenario
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.project import add_tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.project.add_tier import (
    add_to_project,
    find_inventory,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.project.new_files import write_new
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.project.outline import Outline, read_new_tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.project.project_files import (
    INVENTORY,
    project_files,
    role_files,
)

#: The settings of Molecule that all scenarios share.
CONFIG = Path(__file__).parents[3] / "extensions/molecule/config.yml"
DIGEST = "sha256:" + "0f" * 32


def make_project(folder: Path, source=None) -> Path:
    tiers = (read_new_tier("core:base", "operations"),)
    source = source or Bootstrap("bookworm")
    write_new(folder, project_files(Outline("shop", "base", source, "operations", tiers, None, None)))
    return folder


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path / "shop")


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def add(project, name="web", parent="core", team=None, role=None):
    return add_to_project(project, project / INVENTORY, name, parent, team, role)


def test_a_tier_gets_a_role_and_the_team_of_its_parent(project):
    before = content(project)
    added = add(project)
    wanted = read_new_tier("web:core", "operations")
    assert added.tier == wanted
    assert {path.relative_to(project) for path in content(project).keys() - before.keys()} == {
        Path(path) for path in role_files(wanted, is_debian=True)
    }
    changed = [path for path, data in before.items() if path.read_bytes() != data]
    assert changed == [project / INVENTORY]


def test_a_role_that_exists_is_used_if_it_is_named(project):
    before = content(project)
    added = add(project, "web", "base", "middleware", "core")
    assert (added.files, added.tier.team) == ([], "middleware")
    assert [path for path, data in content(project).items() if before.get(path) != data] == [project / INVENTORY]
    assert "tier_role: core" in (project / INVENTORY).read_text()


@pytest.mark.parametrize("role", ["web", "web_server"])
def test_the_scenario_of_a_new_role_finds_its_tier(project, role):
    """A scenario finds its tier by the name of the role, or names it."""
    add(project, role=role)
    folder = project / "roles" / role
    base, own = (yaml.safe_load(path.read_text()) for path in (CONFIG, folder / "molecule/default/molecule.yml"))
    assert read_scenario({**base, **(own or {})}, folder, {"base", "web"}).tier == "web"


@pytest.mark.parametrize(("source", "expected"), [(Bootstrap("trixie"), "{'debian': {}}"), (Pull(f"d@{DIGEST}"), "[]")])
def test_only_tiers_on_debian_declare_its_archive(tmp_path, source, expected):
    project = make_project(tmp_path / "shop", source)
    add(project)
    add(project, "app", "web")
    line = (project / "roles/app/defaults/main.yml").read_text().splitlines()[-1]
    assert line.startswith("app_tier_inputs:")
    assert expected in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "Web"}, "the tier is 'Web'"),
        ({"name": "core"}, "there is a tier 'core' already"),
        ({"team": "my-team"}, "the team is 'my-team'"),
        ({"role": "My-Role"}, "the role is 'My-Role'"),
        ({"name": "operations"}, "a tier and a team have the same name"),
        ({"team": "base"}, "a tier and a team have the same name"),
    ],
)
def test_a_wrong_name_changes_nothing(project, arguments, message):
    before = content(project)
    with pytest.raises(UsageError, match=message):
        add(project, **arguments)
    assert content(project) == before


def test_an_unknown_parent_is_refused_with_the_tiers(project):
    with pytest.raises(NotFoundError, match=r"the parent 'cor' is no host .*; its tiers are: base, core"):
        add(project, parent="cor")


def test_a_role_in_the_way_changes_nothing(project):
    (project / "roles/web/tasks").mkdir(parents=True)
    (project / "roles/web/tasks/main.yml").write_text("mine")
    before = content(project)
    with pytest.raises(UsageError, match=r"roles/web/tasks/main.yml exists, and no file is overwritten"):
        add(project)
    assert content(project) == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_if_the_inventory_cannot_be_written_the_role_is_removed(project, monkeypatch, error):
    def fail(*_arguments):
        raise error

    monkeypatch.setattr(add_tier, "write_shared", fail)
    before = content(project)
    with pytest.raises((UsageError, KeyboardInterrupt)):
        add(project)
    assert content(project) == before
    assert not (project / "roles/web").exists()


def test_the_inventory_keeps_its_mode_and_stays_a_link(project):
    real = project / "real.yml"
    (project / INVENTORY).rename(real)
    real.chmod(0o640)
    (project / INVENTORY).symlink_to(real)
    add(project)
    assert (project / INVENTORY).is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "web:" in real.read_text()


def test_of_a_folder_the_file_with_the_parent_is_extended(project):
    folder = project / "inventory"
    (folder / "more.yml").write_text("tiers:\n  children:\n    other:\n      hosts:\n        db: {tier_parent: base}\n")
    add_to_project(project, folder, "cache", "db", None, None)
    assert "cache:" in (folder / "more.yml").read_text()
    with pytest.raises(UsageError, match="there is a tier 'cache' already"):
        add_to_project(project, folder, "cache", "core", None, None)


def test_the_inventory_is_found_as_ansible_finds_it(project):
    other = project / "other.yml"
    other.write_text("")
    assert find_inventory(project, None, {}) == project / INVENTORY
    assert find_inventory(project, None, {"ANSIBLE_INVENTORY": str(other)}) == other
    assert find_inventory(project, "other.yml", {"ANSIBLE_INVENTORY": "x"}) == other
    with pytest.raises(NotFoundError, match=r"there is no inventory .*missing.yml"):
        find_inventory(project, "missing.yml", {})
    (project / "ansible.cfg").write_text("broken")
    with pytest.raises(UsageError, match=r"ansible.cfg cannot be read"):
        find_inventory(project, None, {})
    (project / "ansible.cfg").unlink()
    with pytest.raises(NotFoundError, match=r"has no ansible.cfg that names an inventory; name it with -i"):
        find_inventory(project, None, {})
