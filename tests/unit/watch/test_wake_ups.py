"""Many signs within a short time cause one comparison."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.wake_ups import WakeUps

pytestmark = pytest.mark.once


def test_nothing_is_compared_without_a_sign():
    assert WakeUps().seconds_left(0.0, 2.0) is None
    assert WakeUps().take() == []


def test_the_time_counts_from_the_first_sign():
    signs = WakeUps()
    signs.note(10.0, "a")
    for moment in range(100):
        signs.note(10.5 + moment, "b")
    assert signs.seconds_left(11.0, 2.0) == 1.0
    assert signs.seconds_left(50.0, 2.0) == 0.0


def test_signs_are_taken_once_and_equal_ones_are_joined():
    signs = WakeUps()
    for number in range(1000):
        signs.note(float(number), f"sign {number % 2}")
    assert signs.take() == ["sign 0", "sign 1"]
    assert (signs.take(), signs.seconds_left(0.0, 2.0)) == ([], None)


def test_a_flood_of_different_signs_uses_no_memory():
    signs = WakeUps()
    for number in range(1000):
        signs.note(0.0, str(number))
    assert len(signs.take()) == 5
