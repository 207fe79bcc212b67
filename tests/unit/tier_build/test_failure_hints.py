"""Hints that are added to the messages of failed tasks."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.failure import hints


@pytest.mark.parametrize(
    "message",
    [
        "Could not replace file: /dev/tierwright/x to /etc/hosts: [Errno 16] Device or resource busy",
        "rm: cannot remove '/etc/resolv.conf': Device or resource busy",
    ],
)
def test_a_busy_mounted_file_gets_a_hint(message):
    (hint,) = hints(message)
    assert "no image can contain them" in hint
    assert "--add-host" in hint


def test_other_messages_get_no_hint():
    assert list(hints("it is broken")) == []
