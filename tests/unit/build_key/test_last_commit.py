from __future__ import annotations

import subprocess

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.source_version import Commit, last_commit


@pytest.fixture
def commit_file(tmp_path, monkeypatch):
    """A function that commits a file to a new Git repository at a given time."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    identity = {
        f"GIT_{role}_{field}": "x@example.org" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")
    }
    for name, value in {**identity, "GIT_CONFIG_GLOBAL": "/dev/null"}.items():
        monkeypatch.setenv(name, value)

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    def commit(path, text, date):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{date} +0200")
        git("add", ".")
        git("commit", "-q", "-m", "x")
        return git("rev-parse", "HEAD").strip()

    git("init", "-q")
    return commit


def test_only_commits_that_touch_the_folder_count(commit_file, tmp_path):
    first = commit_file("web/main.yml", "1", 1_700_000_000)
    commit_file("other/main.yml", "1", 1_700_000_009)
    assert last_commit(tmp_path / "web") == Commit(first, 1_700_000_000)
    second = commit_file("web/main.yml", "2", 1_700_000_010)
    assert last_commit(tmp_path / "web") == Commit(second, 1_700_000_010)
    assert last_commit(tmp_path / "web").name == second[:12]


@pytest.mark.parametrize("path", ["web/main.yml", "web/new.yml"])
def test_a_folder_with_uncommitted_changes_is_dirty(commit_file, tmp_path, path):
    commit = commit_file("web/main.yml", "1", 1_700_000_000)
    (tmp_path / path).write_text("changed")
    assert last_commit(tmp_path / "web") == Commit(commit, 1_700_000_000, clean=False)
    assert last_commit(tmp_path / "web").name == f"{commit[:12]}-dirty"


def test_no_commit_is_found_without_commit_folder_or_git(commit_file, tmp_path, monkeypatch):
    commit_file("web/main.yml", "1", 1_700_000_000)
    (tmp_path / "new").mkdir()
    assert last_commit(tmp_path / "new") is None
    assert last_commit(tmp_path / "missing") is None
    monkeypatch.setenv("PATH", "/nonexistent")
    assert last_commit(tmp_path / "web") is None
