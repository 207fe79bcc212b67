"""Files appear whole or not at all, and a write that fails leaves nothing."""

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
def test_a_file_takes_the_place_of_another_and_is_private(tmp_path, write):
    path = tmp_path / ("a" * 250)
    write(path, "one")
    write(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, fails):
    path = tmp_path / "it"
    write_atomically(path, "before")

    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((local_files.os, "fsync") if fails == "fsync" else (local_files.Path, "replace")), full)
    with pytest.raises(OSError, match="No space left"):
        write_durably(path, "after")
    assert path.read_text() == "before"
    assert names(tmp_path) == ["it"]


def _journal():
    Journal.begin("demo").write("plan", "web", {})


def _standing():
    state_folder("demo").mkdir(parents=True, exist_ok=True)
    status.note_plan("demo", {}, [])


@pytest.mark.parametrize(
    "write",
    [
        _journal,
        _standing,
        lambda: AnswerCache().keep("http://x", CachedAnswer("1", 1.0)),
        lambda: Store().put("engine", "sha256:1", {}),
    ],
    ids=["journal", "standing", "answers", "store"],
)
def test_no_writer_of_ours_leaves_a_temporary_file_on_a_full_disk(tmp_path, monkeypatch, write):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(local_files.Path, "replace", full)
    with contextlib.suppress(OSError):
        write()
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert not [name for name in left if name.endswith(".new") or name.startswith((".", "tmp"))]


def test_all_writers_are_the_one():
    for module in (matrix_store, build_memory, status):
        assert module.write_atomically is write_atomically


def test_what_a_killed_writer_left_is_forgotten(tmp_path):
    (tmp_path / ".promotion-1.json.abc.new").touch()
    (tmp_path / "promotion-1.json").touch()
    remove_unfinished(tmp_path, "promotion-*")
    assert names(tmp_path) == ["promotion-1.json"]


def test_damaged_state_is_set_aside_and_told(tmp_path):
    path = tmp_path / "standing.json"
    path.write_text("{")
    try:
        json.loads("{")
    except ValueError as error:
        told = set_aside(path, error)
    assert told.startswith(f"{path} is damaged (Expecting property name")
    assert "renamed to standing.json.damaged" in told
    assert names(tmp_path) == ["standing.json.damaged"]


def test_damaged_standings_do_not_block_a_plan_and_are_told():
    state_folder("demo").mkdir(parents=True)
    (state_folder("demo") / "standing.json").write_text("[1]")
    told = []
    status.note_plan("demo", {}, [], told.append)
    assert len(told) == 1
    assert (state_folder("demo") / "standing.json").read_text() == "{}"
    assert (state_folder("demo") / "standing.json.damaged").read_text() == "[1]"
