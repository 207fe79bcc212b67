"""The task that created or changed a path of a layer."""

from __future__ import annotations

import os
import stat
import time

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer import overlay_changes
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.build_memory import (
    KEPT,
    Task,
    Timeline,
    recall_tasks,
    remember_tasks,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import FileEntry, FileKind

LAYER = "sha256:" + "a" * 64
FACTS = Task(None, "Gather facts", None)
MOTD = Task("core", "Write the message", "core/tasks/main.yml:3")
TIMELINE = Timeline([(100, FACTS), (200, MOTD)])


def entry(path, changed):
    return FileEntry(path, FileKind.FILE, 0o644, 0, 0, mtime=1, changed=changed)


@pytest.fixture
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "tierwright/+layers"


@pytest.mark.parametrize(("changed", "task"), [(None, None), (99, None), (100, FACTS), (199, FACTS), (10**20, MOTD)])
def test_a_change_belongs_to_the_task_that_began_last(changed, task):
    assert TIMELINE.at(entry(b"it", changed)) == task


def test_without_tasks_nothing_is_remembered(state):
    assert Timeline().at(entry(b"it", 1)) is None
    remember_tasks(LAYER, [entry(b"it", 1)], Timeline())
    assert recall_tasks(LAYER) == {}
    assert not state.exists()


def test_remembered_tasks_are_recalled(state):
    remember_tasks(LAYER, [entry(b"etc/motd", 250), entry(b"bad\377", 150), entry(b"none", None)], TIMELINE)
    assert recall_tasks(LAYER) == {"etc/motd": MOTD, os.fsdecode(b"bad\377"): FACTS}
    assert recall_tasks("sha256:" + "b" * 64) == {}
    assert [stat.S_IMODE(path.stat().st_mode) for path in (state, *state.iterdir())] == [0o700, 0o600]


def test_a_damaged_record_is_ignored_and_an_old_one_removed(state):
    remember_tasks(LAYER, [entry(b"it", 250)], TIMELINE)
    [path] = state.iterdir()
    path.write_bytes(b"damaged")
    assert recall_tasks(LAYER) == {}
    os.utime(path, (time.time() - KEPT - 9,) * 2)
    remember_tasks("sha256:" + "b" * 64, [entry(b"it", 250)], TIMELINE)
    assert path not in state.iterdir()


def test_an_unwritable_state_folder_is_not_an_error(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    remember_tasks(LAYER, [entry(b"it", 250)], TIMELINE)
    assert recall_tasks(LAYER) == {}


def test_the_change_time_of_the_kernel_is_used(tmp_path):
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    lower.mkdir()
    upper.mkdir()
    before = time.time_ns()
    (upper / "it").write_text("x")
    os.utime(upper / "it", (1, 1))
    [change] = overlay_changes.changes(overlay_changes.Overlay(os.fsencode(upper), (os.fsencode(lower),)))
    assert change.now.mtime == 1
    assert before - 10**8 <= change.now.changed <= time.time_ns()


def test_entries_with_different_change_times_are_equal():
    assert entry(b"it", 1) == entry(b"it", 2)
