from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible import constants

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory import roles as inventory_roles
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.roles import Role, find_role, read_role


@pytest.fixture
def roles(tmp_path):
    (tmp_path / "roles/web/tasks").mkdir(parents=True)
    (tmp_path / "roles/web/tasks/main.yml").write_text("- ansible.builtin.command: 'true'\n")
    (tmp_path / "elsewhere/etc").mkdir(parents=True)
    return tmp_path / "roles"


@pytest.mark.parametrize("name", ["web", "./web", "web/", "../roles/web", "ABSOLUTE/web"])
def test_a_role_is_found_by_name_or_path(roles, name):
    role = find_role("web", name.replace("ABSOLUTE", str(roles)), (roles,))
    assert role.folder == roles / "web"


@pytest.mark.parametrize("name", [".", "..", "web/tasks", "../elsewhere/etc", "/etc/apt", "../../etc", "/", "web/.."])
def test_a_folder_that_is_not_a_role_is_rejected(roles, name):
    with pytest.raises(ChainError, match=r"is not a role|no such role"):
        find_role("web", name, (roles,))


def test_a_role_of_the_project_comes_before_one_of_the_collection(tmp_path, monkeypatch):
    """A playbook of an installed collection finds short names in this collection first, so the name must be a path."""
    for name in ("corebuild", "shop"):
        (tmp_path / name / "tasks").mkdir(parents=True)
        (tmp_path / name / "tasks/main.yml").write_text("[]\n")
    own = Path(__file__).parents[3] / "roles/corebuild"
    monkeypatch.setattr(inventory_roles, "_in_collection", {"tierwright.chain.corebuild": Role("own", own)}.get)
    monkeypatch.setattr(constants, "DEFAULT_ROLES_PATH", [str(tmp_path)])
    assert find_role("it", "corebuild", ()).name == str(tmp_path / "corebuild")
    assert find_role("it", "shop", ()).name == "shop"
    assert find_role("it", "tierwright.chain.corebuild", ()).folder == own
    monkeypatch.setattr(constants, "DEFAULT_ROLES_PATH", [str(own.parent)])
    assert find_role("it", "corebuild", ()).name == "corebuild"


@pytest.mark.timeout(10)
@pytest.mark.parametrize("path", ["files/pipe", "tasks/more.yml", "templates/x.j2", "defaults/main.yml"])
def test_a_fifo_in_a_role_is_rejected(roles, path):
    (roles / "web" / path).parent.mkdir(exist_ok=True)
    os.mkfifo(roles / "web" / path)
    with pytest.raises(ChainError, match=f"tier 'web': role 'web': .*{path} cannot be read: it is a FIFO, expected"):
        read_role("web", "web", roles.parent)


def test_circular_links_in_a_role_are_rejected(roles):
    (roles / "web/tasks/a.yml").symlink_to("b.yml")
    (roles / "web/tasks/b.yml").symlink_to("a.yml")
    with pytest.raises(ChainError, match=r"a\.yml cannot be read: Too many levels of symbolic links"):
        read_role("web", "web", roles.parent)
