"""Waits for signs of a change, for the timer, or for the end."""

from __future__ import annotations

import threading
import time

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.signs import ChangeSigns


def waited(signs, seconds, debounce, stop=None):
    began = time.monotonic()
    signs.wait(began + seconds, debounce, stop or threading.Event())
    return time.monotonic() - began


def test_without_a_sign_the_timer_ends_the_wait():
    assert 0.1 <= waited(ChangeSigns(lambda: None), 0.1, 0.0) < 20


def test_a_sign_ends_the_wait_after_the_debounce_and_is_forgotten():
    signs = ChangeSigns(lambda: None)
    signs.note("something was pushed")
    assert 0.1 <= waited(signs, 3600, 0.1) < 20
    assert waited(signs, 0.1, 0.0) >= 0.1


def test_a_stop_ends_the_wait_at_once():
    signs, stop = ChangeSigns(lambda: None), threading.Event()
    stop.set()
    assert waited(signs, 3600, 3600, stop) < 20


def test_without_a_comparison_no_engine_is_followed():
    assert ChangeSigns(lambda: None).follow_engine(print, print, threading.Event()) is None
