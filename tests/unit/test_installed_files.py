"""Files of an installation can be in an image: that of the watcher, for example."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("folder", ["playbooks", "extensions", "meta"])
def test_no_file_refers_to_paths_that_exist_only_during_a_build(folder):
    """The seal would reject an image with such a file."""
    files = [path for path in (ROOT / folder).rglob("*") if path.suffix in {".yml", ".j2"}]
    assert files
    assert [path for path in files if "/dev/tierwright" in path.read_text()] == []
