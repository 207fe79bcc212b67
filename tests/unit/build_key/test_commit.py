from __future__ import annotations

import subprocess

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.source_version import Commit, last_commit


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Runs Git in a repository of its own, at given times."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    who = {f"GIT_{each}_{what}": "x@example.org" for each in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for name, value in {**who, "GIT_CONFIG_GLOBAL": "/dev/null"}.items():
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


def test_only_commits_that_touch_the_folder_count(clone, tmp_path):
    first = clone("web/main.yml", "1", 1_700_000_000)
    clone("other/main.yml", "1", 1_700_000_009)
    assert last_commit(tmp_path / "web") == Commit(first, 1_700_000_000)
    second = clone("web/main.yml", "2", 1_700_000_010)
    assert last_commit(tmp_path / "web") == Commit(second, 1_700_000_010)
    assert last_commit(tmp_path / "web").name == second[:12]


@pytest.mark.parametrize("path", ["web/main.yml", "web/new.yml"])
def test_a_folder_that_was_changed_since_says_so(clone, tmp_path, path):
    made = clone("web/main.yml", "1", 1_700_000_000)
    (tmp_path / path).write_text("changed")
    assert last_commit(tmp_path / "web") == Commit(made, 1_700_000_000, clean=False)
    assert last_commit(tmp_path / "web").name == f"{made[:12]}-dirty"


def test_without_a_repository_or_a_commit_or_git_none_is_known(clone, tmp_path, monkeypatch):
    clone("web/main.yml", "1", 1_700_000_000)
    (tmp_path / "new").mkdir()
    assert last_commit(tmp_path / "new") is None
    assert last_commit(tmp_path / "missing") is None
    monkeypatch.setenv("PATH", "/nonexistent")
    assert last_commit(tmp_path / "web") is None
