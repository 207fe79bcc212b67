"""The repository of a role: its address without credentials, its branch, and whether files have changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key import repository_source
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.repository_source import (
    RepositorySource,
    RepositorySources,
    clean_address,
)

pytestmark = pytest.mark.once

ADDRESS = "https://git.example.org/ops/roles.git"


@pytest.fixture
def git(tmp_path, monkeypatch):
    """A function that runs Git in a new repository with one commit of a role."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GITHUB_SHA", "CI_COMMIT_SHA"):
        monkeypatch.delenv(name, raising=False)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "x")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "x@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")

    def run(*arguments):
        return subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    run("init", "-q", "-b", "main")
    for role in ("web", "common"):
        (tmp_path / role).mkdir()
        (tmp_path / role / "main.yml").write_text("1")
    run("add", ".")
    run("commit", "-q", "-m", "x")
    return run


def describe(folder: Path, *others: Path) -> RepositorySource | None:
    return RepositorySources().describe(folder, others)


def test_address_and_branch_are_found(git, tmp_path):
    git("remote", "add", "origin", "https://alice:secret@git.example.org/ops/roles.git?token=1")
    assert describe(tmp_path / "web") == RepositorySource(ADDRESS, "main", clean=True)


@pytest.mark.usefixtures("git")
def test_a_repository_without_remote_has_no_address(tmp_path):
    assert describe(tmp_path / "web") == RepositorySource("", "main", clean=True)


def test_a_folder_outside_of_repositories_has_none(tmp_path):
    assert describe(tmp_path) is None


@pytest.mark.usefixtures("git")
@pytest.mark.parametrize("path", ["web/main.yml", "web/new.yml", "common/main.yml"])
def test_a_change_in_the_role_or_in_what_it_needs_is_not_clean(tmp_path, path):
    (tmp_path / path).write_text("changed")
    assert describe(tmp_path / "web", tmp_path / "common").clean is False


@pytest.mark.usefixtures("git")
def test_a_change_elsewhere_does_not_count(tmp_path):
    (tmp_path / "common/main.yml").write_text("changed")
    assert describe(tmp_path / "web").clean is True


def test_settings_of_the_user_hide_no_new_files(git, tmp_path):
    git("config", "status.showUntrackedFiles", "no")
    (tmp_path / "web/new.yml").write_text("new")
    assert describe(tmp_path / "web").clean is False


@pytest.mark.usefixtures("git")
def test_names_of_files_are_no_patterns(tmp_path):
    (tmp_path / ":(exclude)web").mkdir()
    (tmp_path / "web/main.yml").write_text("changed")
    assert describe(tmp_path / "web", tmp_path / ":(exclude)web").clean is False


def test_a_dependency_in_another_repository_counts(git, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=other, check=True)
    git("config", "--local", "core.excludesFile", "/dev/null")
    assert describe(tmp_path / "web", other).clean is True
    (other / "new").write_text("new")
    assert describe(tmp_path / "web", other).clean is False


def test_a_repository_that_git_cannot_read_is_not_clean(tmp_path):
    (tmp_path / ".git").write_text("gitdir: /nowhere")
    assert describe(tmp_path) == RepositorySource("", "", clean=False)


def test_a_commit_without_a_branch_has_the_branch_that_the_service_names(git, tmp_path, monkeypatch):
    git("checkout", "-q", "--detach")
    assert describe(tmp_path / "web").branch == ""
    monkeypatch.setenv("CI_COMMIT_SHA", git("rev-parse", "HEAD").strip())
    monkeypatch.setenv("CI_COMMIT_BRANCH", "release")
    assert describe(tmp_path / "web").branch == "release"
    git("commit", "-q", "--allow-empty", "-m", "y")
    assert describe(tmp_path / "web").branch == ""


def test_a_commit_without_a_branch_has_the_only_branch_of_the_remote(git, tmp_path):
    git("checkout", "-q", "--detach")
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    assert describe(tmp_path / "web").branch == "main"
    git("update-ref", "refs/remotes/origin/next", "HEAD")
    assert describe(tmp_path / "web").branch == ""


@pytest.mark.usefixtures("git")
def test_a_repository_is_asked_once(tmp_path, monkeypatch):
    asked = []
    original = repository_source.ask_git
    monkeypatch.setattr(repository_source, "ask_git", lambda *words: asked.append(words) or original(*words))
    sources = RepositorySources()
    for _ in range(3):
        sources.describe(tmp_path / "web")
        sources.describe(tmp_path / "common")
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (ADDRESS, ADDRESS),
        ("https://token@git.example.org/ops/roles.git", ADDRESS),
        ("https://alice:p%40ss:word@git.example.org/ops/roles.git#x", ADDRESS),
        ("HTTPS://alice:s?cr#t@Git.Example.org:8443/a", "https://git.example.org:8443/a"),
        ("git@git.example.org:ops/roles.git", "ssh://git.example.org/ops/roles.git"),
        ("ssh://git@git.example.org:22/ops/roles.git", "ssh://git.example.org:22/ops/roles.git"),
        ("/srv/roles.git", "file:///srv/roles.git"),
        ("file:///srv/roles.git", "file:///srv/roles.git"),
        ("../roles", "file:///roles"),
        ("https://alice:se/cret@git.example.org/a", ""),
        ("https://alice:12/cret@git.example.org/a", ""),
        ("https://a b/c", ""),
        ("", ""),
    ],
)
def test_addresses_have_no_credentials(given, shown):
    assert clean_address(given, Path("/srv")) == shown


@given(user=st.text(min_size=1, max_size=9), password=st.text(max_size=20))
def test_a_password_is_never_shown(user, password):
    secret = f"{password}canary"
    assert "canary" not in clean_address(f"https://{user}:{secret}@git.example.org/a", Path("/srv"))
