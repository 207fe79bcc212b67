"""Files are written completely or not at all, and a failed write leaves nothing behind."""

from __future__ import annotations

import contextlib
import errno
import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import local_files
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.outside_inputs import (
    AnswerCache,
    CachedAnswer,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility import matrix_store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer import build_memory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.local_files import (
    create_durably,
    remove_unfinished,
    set_aside,
    write_atomically,
    write_durably,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state import status
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal, state_folder


def names(folder):
    return [path.name for path in folder.iterdir()]


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("write", [write_atomically, write_durably])
def test_a_written_file_replaces_the_old_one_and_is_private(tmp_path, write):
    path = tmp_path / ("a" * 250)
    write(path, "one")
    write(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_failed_write_leaves_only_the_old_file(tmp_path, monkeypatch, fails):
    path = tmp_path / "it"
    write_atomically(path, "before")

    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((local_files.os, "fsync") if fails == "fsync" else (local_files.Path, "replace")), full)
    with pytest.raises(OSError, match="No space left"):
        write_durably(path, "after")
    assert path.read_text() == "before"
    assert names(tmp_path) == ["it"]


def test_a_new_file_is_never_written_over_another(tmp_path, monkeypatch):
    path = tmp_path / ("a" * 250)
    create_durably(path, "one", 0o640)
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(FileExistsError):
        create_durably(path, "two")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        create_durably(tmp_path / "link", "two")
    monkeypatch.setattr(local_files.os, "fsync", lambda _file: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        create_durably(tmp_path / "b", "three")
    assert path.read_text() == "one"
    assert sorted(names(tmp_path)) == [path.name, "link"]


def _write_journal():
    Journal.begin("demo").write("plan", "web", {})


def _write_status():
    state_folder("demo").mkdir(parents=True, exist_ok=True)
    status.note_plan("demo", {}, [])


@pytest.mark.parametrize(
    "write",
    [
        _write_journal,
        _write_status,
        lambda: AnswerCache().keep("http://x", CachedAnswer("1", 1.0)),
        lambda: Store().put("engine", "sha256:1", {}),
    ],
    ids=["journal", "status", "answers", "store"],
)
def test_no_temporary_file_is_left_on_a_full_disk(tmp_path, monkeypatch, write):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(local_files.Path, "replace", full)
    with contextlib.suppress(OSError):
        write()
    remaining = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert not [name for name in remaining if name.endswith(".new") or name.startswith((".", "tmp"))]


def test_all_modules_use_the_same_writer():
    for module in (matrix_store, build_memory, status):
        assert module.write_atomically is write_atomically


def test_files_of_a_killed_writer_are_removed(tmp_path):
    (tmp_path / ".promotion-1.json.abc.new").touch()
    (tmp_path / "promotion-1.json").touch()
    remove_unfinished(tmp_path, "promotion-*")
    assert names(tmp_path) == ["promotion-1.json"]


def test_a_damaged_file_is_renamed_and_reported(tmp_path):
    path = tmp_path / "standing.json"
    path.write_text("{")
    try:
        json.loads("{")
    except ValueError as error:
        message = set_aside(path, error)
    assert message.startswith(f"{path} is damaged (Expecting property name")
    assert "renamed to standing.json.damaged" in message
    assert names(tmp_path) == ["standing.json.damaged"]


def test_a_damaged_status_file_is_renamed_and_does_not_block_a_plan():
    state_folder("demo").mkdir(parents=True)
    (state_folder("demo") / "standing.json").write_text("[1]")
    lines = []
    status.note_plan("demo", {}, [], lines.append)
    assert len(lines) == 1
    assert (state_folder("demo") / "standing.json").read_text() == "{}"
    assert (state_folder("demo") / "standing.json.damaged").read_text() == "[1]"
