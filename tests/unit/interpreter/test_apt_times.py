"""The phases of apt and dpkg: noted in a container, read on the controller."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import stopwatch
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.interpreter import (
    apt_phases,
    apt_times,
    mounted_python,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.interpreter.inside import apt_events

PROGRAM = apt_events.__file__

#: apt-get update, and apt-get install with one file from the cache and two that are downloaded at the same time.
LINES = """\
100.0 7 update-begins -
101.0 8 fetch-cache - 100.5
103.0 9 update-ends -
112.0 11 fetch-network - 110.0
113.0 11 fetch-network - 111.0
116.0 12 planned 10:108.0
116.5 13 dpkg-begins 10:108.0
117.0 13 unpack 10:108.0
119.0 13 dpkg-ends 10:108.0
119.1 14 dpkg-begins 10:108.0
119.2 14 configure 10:108.0
120.2 14 triggers 10:108.0
120.7 14 dpkg-ends 10:108.0
"""


def test_each_phase_has_its_seconds_without_the_downloads_in_it():
    totals = {}
    for step, began, ended, taken in apt_phases.phases(apt_phases.read_events(LINES.splitlines())):
        assert began <= ended
        totals[step] = totals.get(step, 0) + taken
    assert totals == pytest.approx(
        {
            apt_phases.LISTS: 2.5,
            apt_phases.CACHE: 0.5,
            apt_phases.NETWORK: 3.0,
            apt_phases.PLAN: 5.0,
            apt_phases.PREPARE: 0.5,
            apt_phases.START: 0.6,
            apt_phases.UNPACK: 2.0,
            apt_phases.CONFIGURE: 1.0,
            apt_phases.TRIGGERS: 0.5,
        }
    )
    assert set(totals) < set(apt_phases.STEPS)


def test_a_program_that_uses_the_library_of_apt_has_no_known_start():
    lines = "116.0 12 planned -\n116.5 13 dpkg-begins -\n117.0 13 unpack -\n118.0 13 dpkg-ends -"
    steps = [step for step, *_rest in apt_phases.phases(apt_phases.read_events(lines.splitlines()))]
    assert steps == [apt_phases.PREPARE, apt_phases.START, apt_phases.UNPACK]


@given(
    st.lists(
        st.one_of(
            st.text(),
            st.builds(
                " ".join,
                st.lists(
                    st.sampled_from(
                        [*LINES.split(), "nan", "-1", "inf", "1e400", "-", "1:", "1:nan", "dpkg-begins", "unpack"]
                    ),
                    max_size=7,
                ),
            ),
        )
    )
)
def test_no_answer_of_a_container_gives_a_negative_time_or_an_error(lines):
    for step, began, ended, taken in apt_phases.phases(apt_phases.read_events(lines)):
        assert step in apt_phases.STEPS
        assert 0 <= began <= ended
        assert -1e-6 <= taken <= ended - began + 1e-6


class Container:
    """An engine with one container, which answers with this text."""

    def __init__(self, answer):
        self._answer = answer
        self.exec = self

    def run(self, _container, command, *, take, user):
        assert command[-2:] == [mounted_python.EVENTS, "read"]
        assert user == "0:0"
        if self._answer is None:
            raise EngineError("gone")
        take(1, self._answer.encode())
        return 0


@pytest.fixture
def spans(tmp_path, monkeypatch):
    monkeypatch.setattr(apt_times.time, "time", lambda: 121.0)

    def collect(answer):
        file = tmp_path / "events"
        file.unlink(missing_ok=True)
        stopwatch.begin(file, lambda: ("web", "seal"))
        apt_times.collect(Container(answer), "id")
        stopwatch.stop()
        return stopwatch.read(file)

    return collect


def test_the_phases_are_recorded_for_the_tier(spans):
    found = spans(f"121.0\n{LINES}")
    assert {span.host for span in found} == {"web"}
    assert {span.step.removeprefix(apt_phases.PREFIX) for span in found} < set(apt_phases.STEPS)
    assert max(span.ended for span in found) == 120.7


def test_the_clock_of_a_remote_engine_may_differ(spans):
    assert max(span.ended for span in spans(f"61.0\n{LINES}")) == pytest.approx(180.7)


@pytest.mark.parametrize("answer", [None, "", "sh: not found", "nan\n" + LINES])
def test_a_container_without_an_answer_has_no_phases(spans, answer):
    assert spans(answer) == []


def events(tmp_path, *words, **options):
    file = tmp_path / "events"
    program = [sys.executable, "-I", "-S", PROGRAM, str(file), *words]
    process = subprocess.run(program, capture_output=True, check=True, timeout=30, **options)
    return process.stdout, file


STATUS = b"""status: a: half-installed
processing: install: a
processing: install: b
status: b: unpacked
processing: configure: a
processing: trigproc: libc-bin
processing: purge: c
an error: of : some kind
\xff: \xff
"""


def test_the_status_of_dpkg_becomes_phases(tmp_path):
    _output, file = events(tmp_path, "dpkg", input=STATUS)
    lines = [line.split() for line in file.read_text().splitlines()]
    assert [line[2] for line in lines] == ["dpkg-begins", "unpack", "configure", "triggers", "remove", "dpkg-ends"]
    assert len({line[1] for line in lines}) == 1


def test_what_is_noted_can_be_read(tmp_path):
    events(tmp_path, "note", "planned")
    output, _file = events(tmp_path, "read")
    now, line = output.decode().splitlines()
    [event] = apt_phases.read_events([line])
    assert event.phase == "planned"
    assert event.started is None, "no apt started this test"
    assert float(now) >= event.moment


def test_apt_is_found_above_a_hook(tmp_path):
    apt = tmp_path / "apt-get"  # the name of a process is that of its program
    apt.symlink_to("/bin/sh")
    file = tmp_path / "events"
    script = f"'{sys.executable}' -I -S '{PROGRAM}' '{file}' note planned; :"
    subprocess.run([str(apt), "-c", f'sh -c "{script}"; :'], check=True, timeout=30)
    [event] = apt_phases.read_events(file.read_text().splitlines())
    assert event.started is not None
    assert event.moment - 60 < event.started <= event.moment + 0.02


@pytest.mark.parametrize("words", [["note", "planned"], ["dpkg"], ["read"]])
def test_no_error_ends_an_installation(tmp_path, words):
    program = [sys.executable, "-I", "-S", PROGRAM, str(tmp_path / "missing/events"), *words]
    process = subprocess.run(program, capture_output=True, check=False, timeout=30, input=STATUS)
    assert (process.returncode, process.stderr) == (0, b"")
