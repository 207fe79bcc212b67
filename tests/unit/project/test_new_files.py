"""New files are written all or not at all, and never over a file that exists."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import UsageError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.project import new_files
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.project.new_files import write_new

FILES = {"a.txt": "a\n", "b/c.txt": "c\n", "b/d/e.txt": "e\n", ".f": "f\n"}


def content(folder: Path) -> dict[str, str]:
    """All files and folders below a folder."""
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else "folder" for path in folder.rglob("*")
    }


@pytest.mark.parametrize("place", ["new", "more/folders/new", "existing"])
def test_all_files_are_written(tmp_path, place):
    (tmp_path / "existing").mkdir()
    (tmp_path / "existing/mine").write_text("mine")
    folder = tmp_path / place
    assert write_new(folder, FILES) == [folder / path for path in FILES]
    mine = {"mine": "mine"} if place == "existing" else {}
    assert content(folder) == {**FILES, **mine, "b": "folder", "b/d": "folder"}
    umask = os.umask(0)
    os.umask(umask)
    assert (folder / "a.txt").stat().st_mode & 0o777 == 0o666 & ~umask
    assert folder.stat().st_mode & 0o777 == 0o777 & ~umask
    assert [path for path in folder.parent.iterdir() if path.name.startswith(".tierwright")] == []


@pytest.mark.parametrize("name", ["a.txt", "b", "b/d", "b/d/e.txt", ".f"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_nothing_is_written_if_something_is_in_the_way(tmp_path, name, kind):
    target = tmp_path / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to("nowhere")
    before = content(tmp_path)
    with pytest.raises(UsageError, match=f"{target} exists?, and no file is overwritten; nothing is written"):
        write_new(tmp_path, FILES)
    assert content(tmp_path) == before
    assert os.path.lexists(target)


def test_a_message_names_five_files_and_counts_the_others(tmp_path):
    files = {f"{number}.txt": "" for number in range(8)}
    write_new(tmp_path, files)
    with pytest.raises(UsageError, match=r"0.txt, .*4.txt and 3 more exist"):
        write_new(tmp_path, files)


def test_the_folder_can_be_neither_a_file_nor_a_link_to_nothing(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        with pytest.raises(UsageError, match="nothing is written"):
            write_new(tmp_path / name, FILES)
    assert set(content(tmp_path)) == {"file", "link"}


@pytest.mark.parametrize("place", ["existing", "one/new"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), FileExistsError(17, "x")])
@pytest.mark.parametrize("step", range(12))
def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch, place, error, step):
    """The fault comes at each step that changes the disk."""
    (tmp_path / "existing/b").mkdir(parents=True)
    before = content(tmp_path)
    left = [step]

    def failing(real):
        def run(*arguments, **options):
            if left[0] == 0:
                left[0] -= 1
                raise error
            left[0] -= 1
            return real(*arguments, **options)

        return run

    monkeypatch.setattr(new_files.os, "link", failing(os.link))
    for name in ("write_text", "rename", "mkdir"):
        monkeypatch.setattr(Path, name, failing(getattr(Path, name)))
    try:
        write_new(tmp_path / place, FILES)
    except (KeyboardInterrupt, UsageError):
        assert content(tmp_path) == before
    else:
        assert left[0] >= 0, "the fault came, and nothing noticed it"


def test_a_file_that_appears_in_between_is_kept(tmp_path, monkeypatch):
    def link(source, target):
        if target.name == "e.txt":
            target.write_text("theirs")
        return os.link(source, target)

    monkeypatch.setattr(new_files, "os", type("os", (), {"link": staticmethod(link), "path": os.path}))
    with pytest.raises(UsageError, match=r"e.txt exists; nothing is written"):
        write_new(tmp_path, FILES)
    assert content(tmp_path) == {"b": "folder", "b/d": "folder", "b/d/e.txt": "theirs"}
