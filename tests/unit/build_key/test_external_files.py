from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.file_digests import (
    LISTING,
    ROLE,
    Projects,
    digest_elsewhere,
    elsewhere_names,
)


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "one"
    (folder / "files").mkdir(parents=True)
    (folder / "inventories/web").mkdir(parents=True)
    (folder / "roles/shared/tasks").mkdir(parents=True)
    (folder / "roles/shared/tasks/main.yml").write_text("- task\n")
    (folder / "files/motd.txt").write_text("hello\n")
    return folder


def projects_around(project):
    return Projects.around([project / "inventories/web"])


def test_a_project_is_found_from_its_inventory(project, tmp_path):
    assert projects_around(project).folders == [project]
    alone = tmp_path / "alone/a/b/c"
    alone.mkdir(parents=True)
    assert Projects.around([alone]).folders == [alone]


def test_a_second_clone_has_the_same_names_and_digests(project, tmp_path):
    other = tmp_path / "two"
    shutil.copytree(project, other)
    os.utime(other / "files/motd.txt", (1, 1))
    (other / "files/motd.txt").chmod(0o600)
    names = ["files/motd.txt", f"files{LISTING}", f"roles/shared{ROLE}", "gone"]
    original, clone = projects_around(project), projects_around(other)
    assert original.name(project / "files/motd.txt") == clone.name(other / "files/motd.txt") == "files/motd.txt"
    assert digest_elsewhere(names, original) == digest_elsewhere(names, clone)


def test_a_file_outside_all_projects_has_its_full_path(project):
    assert projects_around(project).name(project.parent / "secret") == str(project.parent / "secret")


def test_a_file_with_the_same_name_in_two_projects_has_its_full_path(project, tmp_path):
    other = tmp_path / "two/playbooks"
    (other / "files").mkdir(parents=True)
    (other / "files/motd.txt").write_text("other\n")
    (other / "files/only").write_text("")
    projects = Projects([project, other])
    assert projects.name(other / "files/motd.txt") == str(other / "files/motd.txt")
    assert projects.name(other / "files/only") == "files/only"
    assert projects.path("files/only") == other / "files/only"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("files/motd.txt", lambda project: (project / "files/motd.txt").write_text("other\n")),
        ("files/motd.txt", lambda project: (project / "files/motd.txt").unlink()),
        ("files/later", lambda project: (project / "files/later").write_text("")),
        (f"files{LISTING}", lambda project: (project / "files/more").write_text("")),
        (f"roles/shared{ROLE}", lambda project: (project / "roles/shared/tasks/main.yml").write_text("")),
    ],
    ids=["changed", "removed", "created", "name in a folder", "role"],
)
def test_a_change_gives_a_different_digest(project, name, change):
    before = digest_elsewhere([name], projects_around(project))
    assert list(before) == [f"elsewhere/{name}"]
    change(project)
    assert digest_elsewhere([name], projects_around(project)) != before


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)))
def test_any_name_can_be_digested_and_read_back(names):
    parts = digest_elsewhere(names, Projects(["/nonexistent"]))
    assert elsewhere_names({**parts, "role/elsewhere/x": "1"}) == tuple(sorted(set(names)))
