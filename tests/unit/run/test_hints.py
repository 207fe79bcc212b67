from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils.run.hints import explained


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (
            "Could not replace file: /dev/tierwright/x to /etc/hosts: [Errno 16] Device or resource busy",
            "/etc/hosts cannot",
        ),
        ("rm: cannot remove '/etc/resolv.conf': Device or resource busy", "/etc/resolv.conf cannot"),
        ("[Errno 16] Device or resource busy", "a path that is mounted"),
    ],
)
def test_a_mounted_file_that_is_busy_gets_a_sentence(message, named):
    told = explained(message)
    assert told.startswith(f"{message}. In a build container, {named}")
    assert "--add-host" in told


def test_other_messages_stay_as_they_are():
    assert explained("No package matching 'x'") == "No package matching 'x'"
