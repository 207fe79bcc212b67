"""Rendered files are written into a folder that belongs to Tierwright."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.rendered_files import (
    HEADER,
    RenderedFile,
    compare_files,
    write_files,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError

pytestmark = pytest.mark.once

ONE, TWO = RenderedFile("1.yaml", f"{HEADER}one\n"), RenderedFile("2.yaml", f"{HEADER}two\n", is_secret=True)


def write(folder, files) -> list[str]:
    changes = compare_files(folder, files)
    write_files(folder, changes)
    return [change.path.name for change in changes]


def test_only_what_changes_is_written(tmp_path):
    folder = tmp_path / "new"
    assert [change.path.name for change in compare_files(folder, [ONE, TWO])] == ["1.yaml", "2.yaml"]
    assert not folder.exists()
    assert write(folder, [ONE, TWO]) == ["1.yaml", "2.yaml"]
    assert write(folder, [ONE, TWO]) == []
    assert [oct((folder / name).stat().st_mode & 0o777) for name in ("1.yaml", "2.yaml")] == ["0o644", "0o600"]


def test_a_secret_that_others_may_read_is_written_again(tmp_path):
    write(tmp_path, [ONE, TWO])
    (tmp_path / "2.yaml").chmod(0o644)
    assert write(tmp_path, [ONE, TWO]) == ["2.yaml"]
    assert (tmp_path / "2.yaml").stat().st_mode & 0o777 == 0o600


def test_files_of_an_earlier_rendering_are_removed_and_others_are_not(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    write(tmp_path, [ONE, TWO])
    assert write(tmp_path, [ONE]) == ["2.yaml"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.yaml", "README.md"]


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path):
    (tmp_path / "2.yaml").write_text("mine")
    with pytest.raises(ChainError, match="Tierwright has not made it"):
        write(tmp_path, [ONE, TWO])
    assert not (tmp_path / "1.yaml").exists()


def test_the_difference_shows_everything_except_secrets(tmp_path):
    write(tmp_path, [ONE, TWO])
    changes = compare_files(tmp_path, [RenderedFile("1.yaml", f"{HEADER}other\n")])
    first, second = (change.difference for change in changes)
    assert (first["before"], first["after"]) == (ONE.content, f"{HEADER}other\n")
    assert "two" not in str(second)


def test_a_secret_is_not_written_where_git_would_keep_it(tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    folder = tmp_path / "rendered"
    with pytest.raises(ChainError, match=r"2\.yaml would contain secrets in a Git work tree"):
        write(folder, [ONE, TWO])
    assert not folder.exists()
    assert write(folder, [ONE]) == ["1.yaml"]
    (tmp_path / ".gitignore").write_text("2.yaml\n")
    assert write(folder, [ONE, TWO]) == ["2.yaml"]
