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


@pytest.mark.parametrize(
    ("message", "variable"),
    [
        ("[Errno 2] No such file or directory: b'systemctl'", "ansible.builtin.systemd_service"),
        ("/bin/sh: 1: systemctl: not found", "ansible.builtin.systemd_service"),
        ("System has not been booted with systemd as init system (PID 1).", "ansible.builtin.systemd_service"),
        (
            "unable to connect to database: Can't connect to local MySQL server through socket '/run/mysqld/x'",
            "tier_services: {start: [mariadb]}",
        ),
        (
            'connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed: No such file or directory',
            "tier_services: {start: [mariadb]}",
        ),
        ("This role only works with systemd", "tier_services: {manager: systemd}"),
        ("Assertion failed: ansible_service_mgr == 'systemd'", "tier_services: {manager: systemd}"),
    ],
)
def test_a_role_that_needs_a_service_manager_gets_a_hint(message, variable):
    (hint,) = hints(message)
    assert variable in hint


@pytest.mark.parametrize(
    "message",
    [
        "Error mounting /proc: umount: /proc: must be superuser to unmount.",
        "mount: /data: permission denied.",
        'sysctl: setting key "net.ipv4.ip_forward": Read-only file system',
    ],
)
def test_a_role_that_changes_the_kernel_gets_a_hint(message):
    (hint,) = hints(message)
    assert "belong to the machine that runs containers" in hint


def test_other_messages_get_no_hint():
    assert list(hints("it is broken")) == []
