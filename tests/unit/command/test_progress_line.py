"""Progress: one calm line on a terminal, and nothing anywhere else."""

from __future__ import annotations

import io
import os
import pty
import sys

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command import progress_line as module
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.output import show
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.progress_line import (
    ProgressLine,
    progress_line,
    say,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.progress import current_work, steps, work

CLEAR = "\r\x1b[K"


class Clock:
    """Seconds that only a test moves."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def terminal():
    return io.StringIO()


@pytest.fixture
def line(terminal, clock):
    return ProgressLine(terminal, clock)


def test_work_is_described_with_its_steps_and_its_parts():
    with work("reading images", 12) as images:
        images.step("web")
        images.step("db\x1b[2J\n" + "x" * 100)
        with work("reading layers") as layers:
            layers.step()
            assert current_work() == r"reading images, 2 of 12: db\x1b[2J\n" + "x" * 36 + "…; reading layers, 1"
    assert current_work() == ""


def test_the_steps_of_items_end_with_the_last_item_or_with_an_error():
    seen = [(item, current_work()) for item in steps("ab", "counting", 2)]
    assert seen == [("a", "counting, 1 of 2"), ("b", "counting, 2 of 2")]
    assert current_work() == ""
    with pytest.raises(ZeroDivisionError), work("dividing"):
        raise ZeroDivisionError
    assert current_work() == ""


def test_short_work_shows_nothing(line, terminal, clock):
    with work("reading"):
        clock.now = 1.9
        line.refresh()
    assert terminal.getvalue() == ""


def test_long_work_shows_one_line_that_is_removed_at_its_end(line, terminal, clock):
    with work("reading"):
        clock.now = 2
        line.refresh()
        line.refresh()
        clock.now = 3
        line.refresh()
    line.refresh()
    assert terminal.getvalue() == f"{CLEAR}reading (2 s){CLEAR}reading (3 s){CLEAR}"


def test_new_work_counts_from_its_own_beginning(line, terminal, clock):
    clock.now = 100
    line.refresh()
    with work("reading"):
        clock.now = 101
        line.refresh()
    assert terminal.getvalue() == ""


def test_a_narrow_terminal_gets_a_part_of_the_line(line, terminal, clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")
    with work("reading many images"):
        clock.now = 5
        line.refresh()
    assert terminal.getvalue() == f"{CLEAR}reading …"


def test_a_terminal_that_is_gone_is_no_error(clock):
    terminal = io.StringIO()
    terminal.close()
    line = ProgressLine(terminal, clock)
    with work("reading"):
        clock.now = 5
        line.refresh()
    line.clear()


def test_nothing_is_written_if_standard_error_is_not_a_terminal(capsys):
    with progress_line(), work("reading"):
        say("one\x1b[2J\ntwo")
        show(None, lambda: ["three"], as_json=False)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("three\n", "one\\x1b[2J\ntwo\n")


def test_the_line_is_removed_before_anything_else_is_printed(monkeypatch):
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(module, "_QUIET", 0)
        monkeypatch.setattr(module, "_INTERVAL", 0.01)
        with progress_line(), work("reading"):
            seen = b""
            while b"reading (0 s)" not in seen:
                seen += os.read(master, 1000)
            say("a line")
            while b"a line" not in seen:
                seen += os.read(master, 1000)
    os.close(master)
    assert seen.replace(b"\r\n", b"\n").startswith(b"\r\x1b[Kreading (0 s)\r\x1b[Ka line\n")


def test_a_dumb_terminal_gets_no_line(monkeypatch):
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "dumb")
        with progress_line():
            assert module._line is None
    os.close(master)
