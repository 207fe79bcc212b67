"""What runs is compared with what its name stands for now."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment import deployed
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployed import (
    OutdatedLayer,
    list_deployed,
    outdated_layers,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.swarm import SwarmSettings, service_spec
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.swarm import (
    SwarmService,
    SwarmState,
    SwarmTask,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image_document import Document
from small_site import SERVER, SITE

pytestmark = pytest.mark.once

SPEC = service_spec(SITE, SERVER, SwarmSettings(), {"password": ("ID", "name")}, "deploy-1")


def document(*layers) -> Document:
    return Document("sha256:0", (), layers, (), {}, 0, "linux/amd64")


def swarm(state="", started=("2026-11-29T20:00:02Z", "2026-11-29T20:00:01Z")):
    tasks = [SwarmTask(slot, "running", "running", "", "", {}, since, "") for slot, since in enumerate(started, 1)]
    return SimpleNamespace(
        state=lambda: SwarmState("active", is_manager=True, machine="", machines=1),
        services=lambda _label: [SwarmService("ID", 1, SPEC, state, "")],
        tasks=lambda _service: [*tasks, SwarmTask(1, "failed", "shutdown", "", "", {}, "2020-01-01T00:00:00Z", "")],
    )


def list_services(monkeypatch, current, newest, **options):
    def read(_client, _repository, reference):
        found = current if reference.startswith("sha256:") else newest
        if isinstance(found, Exception):
            raise found
        return found and SimpleNamespace(name=found.id, document=found)

    monkeypatch.setattr(deployed, "read_published", read)
    engine = SimpleNamespace(swarm=swarm(**options), containers=SimpleNamespace(find=lambda _label: []))
    return list_deployed(engine, "shop", lambda _host: None).services


def test_layers_that_the_newest_image_lacks_are_out_of_date():
    assert outdated_layers(document("a", "b", "c"), document("a", "x", "y")) == [OutdatedLayer(None, None)] * 2
    assert outdated_layers(document("a"), document("a", "b")) == []


def test_a_service_of_swarm_is_described(monkeypatch):
    (service,) = list_services(monkeypatch, document("a", "b"), document("a", "x"), state="rollback_completed")
    assert (service.site, service.service, service.target) == ("shop", "web", "swarm")
    assert (service.running, service.wanted, service.since) == (2, 2, "2026-11-29T20:00:01Z")
    assert (service.state, service.deployment) == ("rollback completed", "deploy-1")
    assert len(service.outdated) == 1


def test_a_registry_that_does_not_answer_is_no_error(monkeypatch):
    (service,) = list_services(monkeypatch, document("a"), EngineError("registry x does not answer"))
    assert service.unknown == "registry x does not answer"
    assert service.newest is None


def test_an_image_that_was_removed_is_no_error(monkeypatch):
    (service,) = list_services(monkeypatch, None, document("a"))
    assert "any more" in service.unknown
