"""The times at which the tasks of a tier began."""

from __future__ import annotations

import shutil
import time

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.build_memory import Task
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import FileEntry, FileKind
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.tasks import note_task_start, timeline


def changed_now():
    return FileEntry(b"it", FileKind.FILE, 0o644, 0, 0, mtime=1, changed=time.time_ns())


def test_a_change_is_attributed_to_the_task_that_ran_at_its_time(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    journal = Journal.begin("chain")
    first, second = Task("web", "One\n", "web/tasks/main.yml:1"), Task(None, "Zwei ü", None)
    before = changed_now()
    note_task_start(journal, "we/b", first)
    between = changed_now()
    note_task_start(journal, "other", second)
    note_task_start(journal, "we/b", second)
    tasks = timeline(journal, "we/b")
    assert [tasks.at(entry) for entry in (before, between, changed_now())] == [None, first, second]
    assert timeline(journal, "none").at(between) is None
    shutil.rmtree(journal.folder)
    note_task_start(journal, "we/b", first)
    assert not journal.folder.exists()
