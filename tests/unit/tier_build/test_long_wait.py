"""Lines about something that takes long."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.long_wait import long_wait


def test_nothing_is_said_about_what_ends_soon():
    with long_wait("web: its tests run", pytest.fail):
        pass


def test_what_takes_long_is_said_more_than_once():
    lines, enough = [], threading.Event()

    def say(line):
        lines.append(line)
        if len(lines) == 2:
            enough.set()

    with long_wait("web: its tests run", say, first=0.001):
        assert enough.wait(10)
    assert lines[:2] == ["web: its tests run since 0 s"] * 2


def test_an_error_ends_the_lines():
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), long_wait("web", pytest.fail):
        raise ZeroDivisionError
    assert threading.active_count() == before
