"""Services that a role started end before its layer is read."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.package import BOOT
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.containers import (
    IDLE_COMMAND,
    IDLE_SCRIPT,
    ProcessInfo,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import SealError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build import service_end
from fake_engine import FakeEngine

OWN = [
    ProcessInfo(1, 0, f"/bin/sh -c : >/dev/tierwright-begun; {IDLE_SCRIPT}"),
    ProcessInfo(7, 0, IDLE_COMMAND),
    ProcessInfo(9, 0, f"/dev/tierwright-python/bin/python3 -c {BOOT.strip()}"),
    ProcessInfo(10, 0, "[sh] <defunct>"),
    ProcessInfo(11, 0, "/usr/bin/python3 /dev/tierwright/async_wrapper.py j1 60 /dev/tierwright/AnsiballZ_apt.py _"),
]
DATABASE = ProcessInfo(20, 101, "/usr/sbin/mariadbd --user=mysql")
WEB = [ProcessInfo(30, 0, "nginx: master process /usr/sbin/nginx"), ProcessInfo(31, 33, "nginx: worker process")]


class Container:
    """A build container whose processes end after the given number of looks; ``None`` for never."""

    def __init__(self, processes, looks=1):
        self.processes, self.looks, self.signalled = [*OWN, *processes], looks, []
        self.engine = FakeEngine()
        self.engine.containers.commands = lambda _container: [each.command for each in self.processes]
        self.engine.containers.processes_inside = self._look
        self.engine.exec.run = self._run

    def _look(self, _container):
        if self.looks is not None and self.signalled:
            self.looks -= 1
            if self.looks < 0:
                return OWN
        return self.processes

    def _run(self, _container, argv, *, take, user):  # noqa: ARG002
        self.signalled.append((user, argv[4:]))
        return 0

    def end(self):
        lines = []
        service_end.end_services(self.engine, "web", "c", lines.append)
        return lines


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(service_end, "_LOOK_SECONDS", 0)


def test_without_services_nothing_is_signalled():
    container = Container([])
    assert container.end() == []
    assert container.signalled == []


def test_each_process_is_signalled_once_by_its_own_user():
    container = Container([DATABASE, *WEB], looks=3)
    assert container.end() == [
        "ended before the layer was read, as the role left them running: mariadbd, nginx",
    ]
    assert sorted(container.signalled) == [("0:0", ["30"]), ("101:101", ["20"]), ("33:33", ["31"])]


def test_a_tier_with_an_endless_service_is_rejected(monkeypatch):
    monkeypatch.setattr(service_end, "SECONDS", 0)
    with pytest.raises(SealError, match=r"tier 'web': its role left processes running .*: mariadbd\. "):
        Container([DATABASE], looks=None).end()
