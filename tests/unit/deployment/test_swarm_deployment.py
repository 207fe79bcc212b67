"""A site is deployed to a Swarm that exists only in memory."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment import swarm_deployment
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployment_record import (
    DeployOutcome,
    begin_record,
    read_records,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.site import Site
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.swarm import SwarmSettings
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.swarm_deployment import SwarmDeployment
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.swarm import SwarmService, SwarmTask
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from small_site import DATABASE, PASSWORD, SECRETS, SERVER, SITE

pytestmark = pytest.mark.once

ONE_PORT = Site("shop", (DATABASE, dataclasses.replace(SERVER, published=None)), SITE.volumes)


class FakeSwarm:
    """A Swarm whose containers start at once. Those of images in ``bad`` fail, and are rolled back."""

    def __init__(self, state="active", *, manager=True, bad=()):
        self.current, self.manager, self.bad = state, manager, set(bad)
        self.specs, self.previous, self.states, self.stored, self.calls = {}, {}, {}, {}, []

    def state(self):
        return self.current, self.manager

    def begin(self):
        self.current = "active"
        self.calls.append("begin")

    def ensure_network(self, name, _labels):
        self.calls.append(f"network {name}")

    def secrets(self, _label):
        return dict(self.stored)

    def create_secret(self, name, value, _labels):
        assert value == PASSWORD
        self.stored[name] = f"id of {name}"
        return self.stored[name]

    def remove_secret(self, identifier):
        self.stored = {name: each for name, each in self.stored.items() if each != identifier}

    def find_service(self, name):
        spec = self.specs.get(name)
        return spec and SwarmService(name, 1, spec, self.states.get(name, ""), "")

    def create_service(self, spec):
        self.calls.append(f"create {spec['Name']}")
        self.specs[spec["Name"]] = spec

    def update_service(self, service, spec):
        self.calls.append(f"update {service.name}")
        if spec["TaskTemplate"]["ContainerSpec"]["Image"] in self.bad:
            self.states[service.name] = "rollback_completed"
        else:
            self.specs[service.name], self.states[service.name] = spec, "completed"

    def tasks(self, name):
        spec = self.specs[name]
        image, failed = spec["TaskTemplate"]["ContainerSpec"]["Image"], self.states.get(name) == "rollback_completed"
        running = [
            SwarmTask(slot, "running", "running", "", image, "2026-11-29T20:00:00Z", "c")
            for slot in range(1, spec["Mode"]["Replicated"]["Replicas"] + 1)
        ]
        return [*running, *([SwarmTask(1, "failed", "shutdown", "task: non-zero exit (1)", "", "", "")] if failed else [])]


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(swarm_deployment, "_POLL_SECONDS", 0)
    monkeypatch.setattr(swarm_deployment, "_STABLE_SECONDS", 0)


def deploy(swarm, site=ONE_PORT):
    engine = SimpleNamespace(swarm=swarm)
    return SwarmDeployment(engine, site, SwarmSettings(), SECRETS, lambda _line: None).run(begin_record(site, "swarm"))


def with_image(reference) -> Site:
    server = ONE_PORT.service("web")
    changed = dataclasses.replace(server, image=dataclasses.replace(server.image, reference=reference))
    return Site("shop", (DATABASE, changed), SITE.volumes)


def test_a_new_site_starts_in_the_order_of_use():
    swarm = FakeSwarm("inactive")
    record = deploy(swarm)
    assert swarm.calls == ["begin", "network shop", "create shop_db", "create shop_web"]
    assert record.outcome is DeployOutcome.DEPLOYED
    assert record.ended


def test_nothing_is_replaced_if_nothing_changed():
    swarm = FakeSwarm()
    deploy(swarm)
    swarm.calls.clear()
    assert deploy(swarm).outcome is DeployOutcome.UNCHANGED
    assert swarm.calls == ["network shop"]
    assert len(swarm.stored) == 1


def test_only_the_changed_service_is_replaced():
    swarm = FakeSwarm()
    deploy(swarm)
    swarm.calls.clear()
    record = deploy(swarm, with_image("new"))
    assert swarm.calls == ["network shop", "update shop_web"]
    assert [service.outcome for service in record.services] == [DeployOutcome.UNCHANGED, DeployOutcome.DEPLOYED]
    assert record.services[1].before == SERVER.image.reference


def test_a_rollback_is_recorded_with_its_reason():
    swarm = FakeSwarm(bad=["bad"])
    deploy(swarm)
    record = deploy(swarm, with_image("bad"))
    assert record.outcome is DeployOutcome.ROLLED_BACK
    assert record.services[1].reason == "task: non-zero exit (1)"
    assert next(read_records("shop")).services == record.services


def test_records_contain_no_secret(tmp_path):
    deploy(FakeSwarm())
    assert PASSWORD not in "".join(path.read_text() for path in tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("swarm", "message"),
    [
        (FakeSwarm(manager=False), "only managers can deploy"),
        (FakeSwarm("locked"), "the Swarm of this engine is locked"),
    ],
)
def test_an_engine_that_cannot_deploy_is_rejected_before_a_change(swarm, message):
    with pytest.raises(EngineError, match=message):
        deploy(swarm)
    assert swarm.calls == []


def test_a_service_of_somebody_else_is_not_touched():
    swarm = FakeSwarm()
    swarm.specs["shop_db"] = {"Name": "shop_db", "Labels": {}}
    with pytest.raises(EngineError, match="is not of this site"):
        deploy(swarm)
    assert swarm.calls == []


def test_two_containers_cannot_have_one_port():
    with pytest.raises(EngineError, match="has 2 replicas and the port 8000"):
        deploy(FakeSwarm(), SITE)


def test_a_database_that_does_not_run_is_not_replaced(monkeypatch):
    swarm = FakeSwarm()
    deploy(swarm)
    swarm.calls.clear()
    broken = [SwarmTask(1, "failed", "running", "no space left on device", "", "", "")]
    monkeypatch.setattr(swarm, "tasks", lambda _name: broken)
    with pytest.raises(EngineError, match="not healthy .*no space left on device.* Nothing is changed"):
        deploy(swarm)
    assert swarm.calls == []
