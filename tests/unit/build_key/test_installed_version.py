from __future__ import annotations

import hashlib
import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.file_digests import digest_folder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.source_version import (
    Commit,
    installed_version,
)

TASKS = "- name: Do\n"


@pytest.fixture
def role(tmp_path):
    """A role in a collection, as ansible-galaxy installs it."""
    folder = tmp_path / "ansible_collections/acme/web/roles/proxy"
    (folder / "tasks").mkdir(parents=True)
    (folder / "meta").mkdir()
    (folder / "tasks/main.yml").write_text(TASKS)
    collection = folder.parent.parent
    files = [
        {"name": "roles/proxy/tasks", "ftype": "dir", "chksum_sha256": None},
        {
            "name": "roles/proxy/tasks/main.yml",
            "ftype": "file",
            "chksum_sha256": hashlib.sha256(TASKS.encode()).hexdigest(),
        },
        {"name": "roles/other/tasks/main.yml", "ftype": "file", "chksum_sha256": "0"},
    ]
    (collection / "MANIFEST.json").write_text(json.dumps({"collection_info": {"version": "1.4.0"}}))
    (collection / "FILES.json").write_text(json.dumps({"files": files}))
    return folder


@pytest.mark.parametrize(
    ("entry", "version"),
    [
        ("version: v2.0.1\n", "v2.0.1"),
        ("version: '1.10'\n", "1.10"),
        ("version: feature/x\n", "feature/x"),
        ("version: null\n", None),
        ("version: ''\n", None),
        ("{}\n", None),
    ],
)
def test_the_version_of_a_role_is_the_requested_one(tmp_path, entry, version):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/.galaxy_install_info").write_text(f"install_date: Tue Nov 24 09:00:00 2026\n{entry}")
    assert installed_version(tmp_path) == (Commit(version, 0) if version else None)


def test_a_commit_is_shortened_and_a_version_is_not():
    assert Commit("1e58c8c2662bb7683226ff9db8a3010b20f9b5fe", 0).name == "1e58c8c2662b"
    assert Commit("2026.11.24-rc.1", 0, clean=False).name == "2026.11.24-rc.1-dirty"


def test_a_role_of_a_collection_has_its_version(role):
    assert installed_version(role) == Commit("1.4.0", 0)
    assert installed_version(role.parent / "elsewhere/proxy") is None


@pytest.mark.parametrize("change", [lambda path: path.write_text("x"), lambda path: path.unlink()])
def test_an_edited_role_is_not_clean(role, change):
    change(role / "tasks/main.yml")
    assert installed_version(role) == Commit("1.4.0", 0, clean=False)


def test_a_collection_that_was_not_installed_has_no_version(role):
    (role.parent.parent / "MANIFEST.json").unlink()
    assert installed_version(role) is None


def test_the_installation_time_is_not_part_of_the_key(role):
    before = digest_folder(role)
    (role / "meta/.galaxy_install_info").write_text("install_date: now\nversion: 1\n")
    assert digest_folder(role) == before
