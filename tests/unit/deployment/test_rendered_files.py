"""Rendered files are written into a folder that belongs to Tierwright."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.rendered_files import (
    HEADER,
    RenderedFile,
    write_files,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError

pytestmark = pytest.mark.once

ONE, TWO = RenderedFile("1.yaml", f"{HEADER}one\n"), RenderedFile("2.yaml", f"{HEADER}two\n", is_secret=True)


def test_only_what_changes_is_written(tmp_path):
    folder = tmp_path / "new"
    assert write_files(folder, [ONE, TWO], check=True) == ["1.yaml", "2.yaml"]
    assert not folder.exists()
    assert write_files(folder, [ONE, TWO]) == ["1.yaml", "2.yaml"]
    assert write_files(folder, [ONE, TWO]) == []
    assert [oct((folder / name).stat().st_mode & 0o777) for name in ("1.yaml", "2.yaml")] == ["0o644", "0o600"]


def test_files_of_an_earlier_rendering_are_removed_and_others_are_not(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    write_files(tmp_path, [ONE, TWO])
    assert write_files(tmp_path, [ONE]) == ["2.yaml"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.yaml", "README.md"]


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path):
    (tmp_path / "2.yaml").write_text("mine")
    with pytest.raises(ChainError, match="Tierwright has not made it"):
        write_files(tmp_path, [ONE, TWO])
    assert not (tmp_path / "1.yaml").exists()
