"""Measuring steps, in several processes."""

from __future__ import annotations

import multiprocessing
import stat

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import stopwatch


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "events"
    stopwatch.begin(path, lambda: ("web", "task-1"))
    yield path
    stopwatch.stop()


def test_nothing_is_recorded_before_begin_and_after_stop(tmp_path):
    path = tmp_path / "events"
    with stopwatch.measured("before"):
        pass
    stopwatch.begin(path, lambda: ("", ""))
    stopwatch.stop()
    with stopwatch.measured("after"):
        pass
    assert list(stopwatch.producing("after", [1, 2])) == [1, 2]
    assert stopwatch.read(path) == []


def test_a_step_is_recorded_with_its_host_and_task_also_if_it_fails(file):
    with pytest.raises(ValueError, match="broken"), stopwatch.measured("read"):
        raise ValueError("broken")
    [span] = stopwatch.read(file)
    assert (span.step, span.host, span.task) == ("read", "web", "task-1")
    assert span.seconds == span.ended - span.began >= 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_times_of_producer_and_consumer_are_apart(file, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: clock[0])

    def produce():
        for item in range(3):
            clock[0] += 1
            yield item

    for _item in stopwatch.consuming("write", stopwatch.producing("read", produce())):
        clock[0] += 10
    total = stopwatch.Total("hash")
    for _time in range(2):
        with total:
            clock[0] += 5
    total.record()
    assert {span.step: span.seconds for span in stopwatch.read(file)} == {"read": 3, "write": 30, "hash": 10}


def record(count):
    for number in range(count):
        stopwatch.note(f"step {number}", 0, 1)


def test_forks_record_into_the_same_file(file):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=record, args=(50,)) for _worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(stopwatch.read(file)) == 200


def test_a_damaged_line_is_ignored_and_a_lost_folder_ends_nothing(file):
    stopwatch.note("whole", 0, 1)
    with file.open("a") as end:
        end.write('{"step": "ha')
    assert [span.step for span in stopwatch.read(file)] == ["whole"]
    stopwatch.begin(file / "gone", lambda: ("", ""))
    stopwatch.note("lost", 0, 1)
