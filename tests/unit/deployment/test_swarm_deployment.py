"""A site is deployed to a Swarm that exists only in memory."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment import (
    swarm as swarm_specs,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment import (
    swarm_checks,
    swarm_rollout,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployment_record import (
    DeployOutcome,
    begin_record,
    read_records,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.site import Site
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.swarm import SwarmSettings, service_spec
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.swarm_deployment import SwarmDeployment
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.swarm_entry import ENTRY, with_entry
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.swarm import (
    SwarmService,
    SwarmState,
    SwarmTask,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, EngineError
from demo_site import demo_site
from small_site import DATABASE, PASSWORD, SECRETS, SERVER, SITE

pytestmark = pytest.mark.once

ONE_PORT = Site("shop", (DATABASE, msgspec.structs.replace(SERVER, published=None)), SITE.volumes)


NO_CONTAINERS = SimpleNamespace(find=lambda _label: [])


class FakeSwarm:
    """A Swarm whose containers start at once. Those of images in ``bad`` fail, and are rolled back."""

    def __init__(self, state="active", *, manager=True, bad=()):
        self.current, self.manager, self.bad = state, manager, set(bad)
        self.machines = 1
        self.specs, self.states, self.stored, self.calls, self.failed = {}, {}, {}, [], []

    def state(self):
        return SwarmState(self.current, self.manager, "machine", self.machines, two_intervals=True)

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

    def services(self, _label):
        return [found for name in list(self.specs) if (found := self.find_service(name))]

    def remove_service(self, name):
        self.calls.append(f"remove {name}")
        del self.specs[name]

    def create_service(self, spec):
        self.calls.append(f"create {spec['Name']}")
        self.specs[spec["Name"]] = spec

    def update_service(self, service, spec):
        self.calls.append(f"update {service.name}")
        if spec["TaskTemplate"]["ContainerSpec"]["Image"] in self.bad:
            self.states[service.name] = "rollback_completed"
            labels = spec["TaskTemplate"]["ContainerSpec"]["Labels"]
            self.failed = [SwarmTask(1, "failed", "shutdown", "task: non-zero exit (1)", "", labels, "", "")]
        else:
            self.specs[service.name], self.states[service.name] = spec, "completed"

    def tasks(self, name):
        spec = self.specs[name]
        image, labels = (spec["TaskTemplate"]["ContainerSpec"][key] for key in ("Image", "Labels"))
        running = [
            SwarmTask(slot, "running", "running", "", image, labels, "2026-11-29T20:00:00Z", "c")
            for slot in range(1, spec["Mode"]["Replicated"]["Replicas"] + 1)
        ]
        return [*running, *self.failed]


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(swarm_rollout, "_POLL_SECONDS", 0)
    monkeypatch.setattr(swarm_rollout, "_STABLE_SECONDS", 0)
    monkeypatch.setattr(swarm_checks, "_PATIENCE_SECONDS", 0)


def deploy(swarm, site=ONE_PORT):
    engine = SimpleNamespace(swarm=swarm, address="tcp://engine.example:2376", containers=NO_CONTAINERS)
    return SwarmDeployment(engine, site, SwarmSettings(), SECRETS, lambda _line: None).run(begin_record(site, "swarm"))


def with_image(reference) -> Site:
    server = ONE_PORT.service("web")
    changed = msgspec.structs.replace(server, image=msgspec.structs.replace(server.image, reference=reference))
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
    with pytest.raises(ChainError, match="has 2 replicas and the port 8000"):
        deploy(FakeSwarm(), SITE)


def test_a_database_that_does_not_run_is_not_replaced(monkeypatch):
    swarm = FakeSwarm()
    deploy(swarm)
    swarm.calls.clear()
    broken = [SwarmTask(1, "failed", "running", "no space left on device", "", {}, "", "")]
    monkeypatch.setattr(swarm, "tasks", lambda _name: broken)
    with pytest.raises(EngineError, match=r"not healthy .*no space left on device.* Nothing is changed"):
        deploy(swarm)
    assert swarm.calls == []


def test_an_update_that_goes_on_is_waited_for(monkeypatch):
    """A deployment that was killed has told Swarm already what to do."""
    swarm = FakeSwarm()
    deploy(swarm)
    swarm.calls.clear()
    states = iter(["updating", "updating", "updating", "completed"])
    find = swarm.find_service

    def find_updating(name):
        if name == "shop_web" and find(name):
            swarm.states[name] = next(states, "completed")
        return find(name)

    monkeypatch.setattr(swarm, "find_service", find_updating)
    record = deploy(swarm)
    assert swarm.calls == ["network shop"]
    assert [service.outcome for service in record.services] == [DeployOutcome.UNCHANGED, DeployOutcome.DEPLOYED]


def test_an_engine_that_starts_again_is_waited_for(monkeypatch):
    swarm = FakeSwarm()
    tasks, answers = swarm.tasks, iter([EngineError("no answer"), EngineError("no answer")])

    def fail_twice(name):
        for error in answers:
            raise error
        return tasks(name)

    monkeypatch.setattr(swarm, "tasks", fail_twice)
    assert deploy(swarm).outcome is DeployOutcome.DEPLOYED


def test_entries_hold_the_port_in_front_of_the_proxies():
    swarm = FakeSwarm()
    deploy(swarm, with_entry(SITE, 2))
    proxy, entry = (swarm.specs[f"shop_{name}"]["TaskTemplate"] for name in ("web", ENTRY))
    assert entry["Networks"] == [{"Target": "host"}]
    assert "HAPROXY_LISTEN_HTTP=:8000" in entry["ContainerSpec"]["Env"]
    servers = [each for each in entry["ContainerSpec"]["Env"] if each.startswith("HAPROXY_SERVER_")]
    assert servers == [
        "HAPROXY_SERVER_1=unix@/run/site/1.sock send-proxy-v2",
        "HAPROXY_SERVER_2=unix@/run/site/2.sock send-proxy-v2",
    ]
    assert (
        "HAPROXY_LISTEN_HTTP=unix@/run/site/{{.Task.Slot}}.sock mode 660 accept-proxy" in proxy["ContainerSpec"]["Env"]
    )
    shared = [
        [each["Source"] for each in task["ContainerSpec"]["Mounts"] if "Source" in each] for task in (proxy, entry)
    ]
    assert "shop_sockets" in shared[0]
    assert shared[1] == ["shop_sockets"]
    orders = {name: spec["UpdateConfig"]["Order"] for name, spec in swarm.specs.items()}
    assert orders == {"shop_db": "stop-first", "shop_web": "start-first", "shop_entry": "start-first"}


def test_proxies_and_entries_stay_on_one_machine_of_several():
    swarm = FakeSwarm()
    swarm.machines = 2
    deploy(swarm, with_entry(SITE, 2))
    placed = {name: spec["TaskTemplate"]["Placement"]["Constraints"] for name, spec in swarm.specs.items()}
    here = ["node.id == machine"]
    assert placed == {"shop_db": [], "shop_web": here, "shop_entry": here}


def test_a_port_that_only_root_may_open_is_rejected(monkeypatch):
    monkeypatch.setattr(swarm_checks, "_first_port", lambda: 1024)
    engine = SimpleNamespace(swarm=FakeSwarm(), address="unix:///run/docker.sock")
    site = with_entry(
        msgspec.structs.replace(SITE, services=(DATABASE, msgspec.structs.replace(SERVER, published=80))), 2
    )
    with pytest.raises(EngineError, match=r"deploy_port is 80, .* choose a port from 1024"):
        SwarmDeployment(engine, site, SwarmSettings(), SECRETS, lambda _line: None).plan()


def test_entries_know_a_limited_number_of_proxies():
    site = with_entry(
        msgspec.structs.replace(SITE, services=(DATABASE, msgspec.structs.replace(SERVER, replicas=5))), 2
    )
    with pytest.raises(ChainError, match=r"deploy_replicas\.web is 5; the entries can use at most 4"):
        deploy(FakeSwarm(), site)


@pytest.mark.parametrize(("two", "times"), [(False, {"Interval": 2}), (True, {"Interval": 10, "StartInterval": 2})])
def test_health_checks_are_rare_after_the_start_if_the_engine_can(two, times):
    spec = service_spec(SITE, SERVER, SwarmSettings(two_intervals=two), {"password": ("ID", "name")}, "")
    check = spec["TaskTemplate"]["ContainerSpec"]["Healthcheck"]
    assert {name: check[name] for name in check if name.endswith("Interval")} == {
        name: seconds * 10**9 for name, seconds in times.items()
    }


def test_a_container_that_nobody_finds_by_its_name_is_not_healthy():
    """The check of a service that others use also looks for its name. Entries have no name in the site's network."""
    site = with_entry(demo_site(), 2)
    checks = {
        service.name: service_spec(site, service, SwarmSettings(), dict.fromkeys(site.secret_keys, ("ID", "name")), "")[
            "TaskTemplate"
        ]["ContainerSpec"]["Healthcheck"]["Test"]
        for service in site.services
    }
    assert checks["mariadb"][:3] == ["CMD", "sh", "-c"]
    assert "getent" in checks["mariadb"][3]
    assert checks["mariadb"][4:6] == ["mariadb", "/usr/local/bin/healthcheck.sh"]
    assert checks["wordpress"][4:] == ["wordpress", "httpd-php-healthcheck"]
    assert checks["entry"] == ["CMD", "haproxy-healthcheck"]


def test_the_check_for_the_name_waits_after_the_first_success(tmp_path):
    def check(name, *words):
        script = swarm_specs._CHECK_WITH_NAME.replace("/tmp/", f"{tmp_path}/")
        return subprocess.run(["sh", "-c", script, name, *words], check=False).returncode

    assert check("nobody.invalid", "false") == 1
    assert not (tmp_path / ".first-success").exists()
    assert check("nobody.invalid", "true") == 0
    os.utime(tmp_path / ".first-success", (0, 0))
    assert check("nobody.invalid", "true") == 1
    assert check("localhost", "true") == 0


def test_entries_that_are_switched_off_are_removed_before_the_proxy_takes_the_port():
    one = msgspec.structs.replace(SITE, services=(DATABASE, msgspec.structs.replace(SERVER, replicas=1)))
    swarm = FakeSwarm()
    deploy(swarm, with_entry(one, 2))
    swarm.calls.clear()
    engine = SimpleNamespace(swarm=swarm, address="unix:///run/docker.sock")
    plan = SwarmDeployment(engine, one, SwarmSettings(), SECRETS, lambda _line: None).plan()
    assert plan == {"entry": "removed", "db": "unchanged", "web": "changed"}
    deploy(swarm, one)
    assert swarm.calls == ["network shop", "remove shop_entry", "update shop_web"]


def test_only_a_port_that_the_site_does_not_hold_yet_must_be_free(monkeypatch):
    asked = []
    monkeypatch.setattr(swarm_checks, "check_port", lambda _address, port: asked.append(port))
    swarm = FakeSwarm()
    deploy(swarm, with_entry(SITE, 2))
    deploy(swarm, with_entry(SITE, 2))
    moved = msgspec.structs.replace(SITE, services=(DATABASE, msgspec.structs.replace(SERVER, published=9000)))
    deploy(swarm, with_entry(moved, 2))
    assert asked == [8000, 9000]
