"""What runs is compared with what its name stands for now, in a registry in memory and in an engine."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment import deployment_record, site_lock
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployed import (
    deployed_on_engine,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployed_images import outdated_layers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployed_service import (
    OutdatedLayer,
    failed_release_is_newest,
    needs_action,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployment_record import DeployOutcome
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.labels import CHOSEN_BY, CONFIG
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.swarm import SwarmSettings, service_spec
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import ContainerInfo
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.swarm import (
    SwarmService,
    SwarmState,
    SwarmTask,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, NotFoundError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image_document import Document, Step
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from published_images import publish
from small_site import SERVER, SITE
from web_releases import BASE, IDS, NEW, NEXT_RELEASE, RELEASE

pytestmark = pytest.mark.once


def service_of(registry, tag=RELEASE, chosen_by="latest"):
    """The service of the small site, with an image of the registry."""
    repository = f"{registry.host}/team/web"
    reference = f"{repository}@{registry.tags['team/web', tag]}"
    separator = "@" if chosen_by.startswith("sha256:") else ":"
    return replace(
        SERVER, image=replace(SERVER.image, reference=reference, chosen_by=f"{repository}{separator}{chosen_by}")
    )


def task(slot, state="running", desired="running", error="", since="2026-11-29T20:00:01Z"):
    return SwarmTask(slot, state, desired, error, "", {}, since, "")


TASKS = [task(1, since="2026-11-29T20:00:02Z"), task(2), task(1, "failed", "shutdown", "", "2020-01-01T00:00:00Z")]


class OneEngine:
    """An engine with one service in Swarm, containers, and images; also a place of images."""

    def __init__(self, service=None, *, state="", message="", tasks=TASKS, containers=(), images=(), swarm="active"):
        self.documents = images
        spec = service and service_spec(SITE, service, SwarmSettings(), {"password": ("ID", "name")}, "deploy-1")
        self.swarm = SimpleNamespace(
            state=lambda: SwarmState(swarm, is_manager=swarm == "active", machine="", machines=1, two_intervals=False),
            services=lambda _label: [SwarmService("ID", 1, spec, state, message)] if spec else [],
            tasks=lambda _service: list(tasks),
        )
        found = {info.id: info for info in containers}
        self.containers = SimpleNamespace(
            find=lambda _label: [(info.id, dict(info.labels)) for info in containers], inspect=found.__getitem__
        )

    def find(self, reference):
        for document in self.documents:
            if reference == document.id or reference in document.names:
                return document
        raise NotFoundError("no image")


def ask(engine, site="shop"):
    return deployed_on_engine(engine, engine, site, Registries().reader)


def ask_one(engine):
    (service,) = ask(engine).services
    return service


def document(name, layers, *names) -> Document:
    steps = tuple(Step(0, f"tierwright: tier {layer}: role {layer}", f"team {layer}s", "", None) for layer in layers)
    return Document(IDS[name], names, tuple(layers), steps, {}, 0, "linux/amd64")


def test_layers_that_the_newest_image_lacks_are_out_of_date():
    assert outdated_layers(document("a", "abc"), document("b", "axy")) == [
        OutdatedLayer("b", "bs"),
        OutdatedLayer("c", "cs"),
    ]
    assert outdated_layers(document("a", "a"), document("b", "ab")) == []


def test_a_service_of_swarm_is_described_with_its_release_and_its_outdated_layer(registry):
    service = ask_one(OneEngine(service_of(registry), state="completed"))
    assert (service.site, service.service, service.target) == ("shop", "web", "swarm")
    assert (service.running, service.wanted, service.since) == (2, 2, "2026-11-29T20:00:01Z")
    assert (service.state, service.problem, service.deployment) == (None, None, "deploy-1")
    assert (service.release, service.current, service.unknown) == (RELEASE, False, None)
    assert service.newest == f"{registry.host}/team/web@{registry.tags['team/web', 'latest']}"
    assert service.outdated == [OutdatedLayer("corebuild", "operations")]
    assert needs_action(service)


def test_a_service_that_is_up_to_date_needs_one_manifest_of_a_release(registry):
    service = ask_one(OneEngine(service_of(registry, "latest")))
    assert (service.release, service.current, service.outdated) == (NEXT_RELEASE, True, [])
    assert registry.count("GET", "/manifests/release-") == 1
    assert not needs_action(service)


def test_an_image_that_was_chosen_by_a_digest_is_never_out_of_date(registry):
    pinned = service_of(registry, chosen_by=registry.tags["team/web", RELEASE])
    service = ask_one(OneEngine(pinned))
    assert (service.release, service.current, service.newest, service.unknown) == (RELEASE, None, None, None)
    assert not needs_action(service)


def test_only_the_newest_releases_are_compared(registry):
    for number in range(30):
        publish(registry, "team/web", f"release-20261126T{number:06}Z", [BASE, NEW])
    assert ask_one(OneEngine(service_of(registry))).release is None
    assert registry.count("GET", "/manifests/release-") == 20


def test_a_registry_that_lists_no_tags_is_no_error(registry):
    registry.fault = lambda _method, path: 403 if "tags/list" in path else None
    service = ask_one(OneEngine(service_of(registry)))
    assert (service.release, service.current, service.unknown) == (None, False, None)


def test_a_registry_that_refuses_is_named(registry):
    registry.fault = lambda _method, _path: 401
    service = ask_one(OneEngine(service_of(registry)))
    assert "log in with `docker login`" in service.unknown
    assert service.current is None
    assert needs_action(service)


def test_a_tag_that_is_gone_is_named(registry):
    service = service_of(registry)
    del registry.tags["team/web", "latest"]
    found = ask_one(OneEngine(service))
    assert found.unknown == f"registry {registry.host} does not have {registry.host}/team/web:latest any more"
    assert (found.release, found.newest) == (RELEASE, None)


def test_an_image_that_is_gone_has_unknown_layers(registry):
    service = service_of(registry)
    registry.manifests.pop(("team/web", registry.tags["team/web", RELEASE]))
    found = ask_one(OneEngine(service))
    assert (found.current, found.outdated) == (False, [])
    assert found.unknown.endswith("is gone, so its layers are unknown")


def test_a_silent_registry_is_asked_once(monkeypatch):
    monkeypatch.setattr(registry_client, "_DELAYS", ())
    asked = []

    def connect(host):
        asked.append(host)
        return Registries().reader(host)

    services = [replace(SERVER, image=replace(SERVER.image, reference=f"127.0.0.1:1/team/{name}@{IDS['a']}",
                chosen_by=f"127.0.0.1:1/team/{name}:latest")) for name in ("one", "two")]  # fmt: skip
    engine = OneEngine(services[0])
    specs = [service_spec(SITE, each, SwarmSettings(), {"password": ("ID", "name")}, "deploy-1") for each in services]
    engine.swarm.services = lambda _label: [SwarmService("ID", 1, spec, "", "") for spec in specs]
    found = deployed_on_engine(engine, engine, "shop", connect).services
    assert ["does not answer" in each.unknown for each in found] == [True, True]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("reference", "chosen_by", "message"),
    [
        ("{host}/other/web@{digest}", "{host}/team/web:latest", "which is not from the repository of {host}/team/web"),
        ("{host}/team/web:latest", "{host}/team/web:latest", "which is no digest"),
        ("{host}/team/web@{digest}", "{host}/team/web:\x1b[31m", "is not the name of an image"),
    ],
)
def test_what_somebody_changed_by_hand_is_not_compared(registry, reference, chosen_by, message):
    values = {"host": registry.host, "digest": IDS["a"]}
    image = replace(SERVER.image, reference=reference.format(**values), chosen_by=chosen_by.format(**values))
    unknown = ask_one(OneEngine(replace(SERVER, image=image))).unknown
    assert message.format(**values) in unknown
    assert unknown.isprintable()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("updating", "updating"),
        ("paused", "stuck"),
        ("rollback_started", "rolling back"),
        ("rollback_paused", "stuck while rolling back"),
        ("rollback_completed", "rolled back"),
    ],
)
def test_the_state_of_a_roll_out_is_named(registry, state, expected):
    service = ask_one(OneEngine(service_of(registry, "latest"), state=state, message="what Swarm says"))
    assert service.state == expected
    going_on = expected in {"updating", "rolling back"}
    assert service.problem == (None if going_on else "what Swarm says")
    assert needs_action(service) is not going_on


def test_replicas_that_do_not_run_have_a_reason(registry):
    tasks = [task(2, "rejected", "shutdown", "No such image"), task(2, "failed", "shutdown", "older"), task(1)]
    service = ask_one(OneEngine(service_of(registry, "latest"), tasks=tasks))
    assert (service.running, service.wanted, service.problem) == (1, 2, "No such image")
    assert needs_action(service)


@pytest.mark.parametrize(
    ("tasks", "problem"),
    [([task(2, "starting"), task(1)], "the newest is starting"), ([], "Swarm has not made the others")],
)
def test_replicas_that_are_not_there_yet_are_described(registry, tasks, problem):
    service = ask_one(OneEngine(service_of(registry, "latest"), tasks=tasks, state="completed", message="completed"))
    assert service.problem == problem


def test_two_containers_of_one_replica_count_once(registry):
    service = ask_one(OneEngine(service_of(registry, "latest"), tasks=[*TASKS, task(2)]))
    assert service.running == 2


def in_engine(chosen_by="wordpress:latest", reference=IDS["a"]):
    image = replace(SERVER.image, reference=reference, chosen_by=chosen_by, config=IDS["a"], is_local=True)
    return replace(SERVER, image=image)


def test_an_image_of_the_engine_is_compared_with_what_its_name_stands_for_there():
    images = [document("a", "wx", f"wordpress:{RELEASE}", "other:release-20270101T000000Z"),
              document("b", "wy", "wordpress:latest")]  # fmt: skip
    service = ask_one(OneEngine(in_engine(), images=images))
    assert (service.newest, service.current, service.release) == (IDS["b"], False, RELEASE)
    assert service.outdated == [OutdatedLayer("x", "xs")]


def test_a_name_that_stands_for_nothing_in_the_engine_is_named():
    service = ask_one(OneEngine(in_engine(), images=[document("a", "w", f"wordpress:{RELEASE}")]))
    assert service.unknown == "the engine does not have wordpress:latest any more"
    assert (service.release, service.newest) == (RELEASE, None)


def test_an_image_of_the_engine_is_current_if_its_name_still_stands_for_it():
    service = ask_one(OneEngine(in_engine("wordpress"), images=[document("a", "w", "wordpress:latest")]))
    assert (service.current, service.outdated, service.unknown) == (True, [], None)


def container(identifier, *, running=True, image=IDS["a"], chosen_by="wordpress:latest", **more) -> ContainerInfo:
    labels = {"io.tierwright.site": "shop", "io.tierwright.service": "web", CHOSEN_BY: chosen_by, CONFIG: image}
    return ContainerInfo(identifier, image, labels, running, 1, 1_796_000_000 * 10**9, (), None, **more)


def test_containers_of_an_engine_without_swarm_are_described():
    infos = [
        container("1"),
        container("2", running=False, exit_status=137),
        container("3", running=False, exit_status=0),
    ]
    engine = OneEngine(swarm="inactive", containers=infos, images=[document("a", "w", "wordpress:latest")])
    service = ask_one(engine)
    assert (service.target, service.running, service.wanted) == ("container", 1, 2)
    assert (service.problem, service.since, service.current) == ("exit status 137", "2026-11-30T00:53:20Z", True)


def test_an_engine_without_sites_is_no_error():
    assert ask(OneEngine(swarm="inactive")).services == []
    assert ask(OneEngine(swarm="inactive"), None).notes == []


def test_a_container_that_vanishes_is_left_out():
    engine = OneEngine(swarm="inactive", containers=[container("1")])

    def inspect(_container):
        error = EngineError("no such container")
        error.status = 404
        raise error

    engine.containers.inspect = inspect
    assert ask(engine).services == []


def test_a_container_of_a_registry_image_is_compared_by_its_id(registry):
    _manifest, identity = publish(registry, "team/web", "latest", [BASE, NEW])
    infos = [container("1", image=identity, chosen_by=f"{registry.host}/team/web:latest")]
    image = replace(document("a", "w"), id=identity)
    service = ask_one(OneEngine(swarm="inactive", containers=infos, images=[image]))
    assert (service.current, service.release, service.unknown) == (True, NEXT_RELEASE, None)


def test_a_worker_of_a_swarm_cannot_say_what_runs():
    engine = OneEngine()
    engine.swarm.state = lambda: SwarmState("active", is_manager=False, machine="", machines=2, two_intervals=False)
    with pytest.raises(EngineError, match="set DOCKER_HOST to a manager"):
        ask(engine)


def record_of(service, outcome, reason="", *, ended=True):
    record = deployment_record.begin_record(replace(SITE, services=(service,)), "swarm")
    record = deployment_record.note(record, service.name, outcome, before=None, reason=reason)
    return deployment_record.end_record(record) if ended else record


def test_a_deployment_that_was_rolled_back_names_the_image_that_failed(registry):
    record_of(service_of(registry, "latest"), DeployOutcome.ROLLED_BACK, "it is not healthy")
    service = ask_one(OneEngine(service_of(registry), state="rollback_completed"))
    assert (service.last.outcome, service.last.reason) == ("rolled back", "it is not healthy")
    assert service.last.image == service.newest
    assert failed_release_is_newest(service)
    assert needs_action(service)


def test_a_newer_deployment_of_another_machine_makes_a_record_old_news(registry):
    record_of(service_of(registry, "latest"), DeployOutcome.FAILED)
    engine = OneEngine(service_of(registry, "latest"))
    spec = service_spec(SITE, service_of(registry, "latest"), SwarmSettings(), {"password": ("ID", "n")}, "deploy-9")
    engine.swarm.services = lambda _label: [SwarmService("ID", 1, spec, "", "")]
    assert not needs_action(ask_one(engine))


def test_a_record_without_an_end_is_interrupted_if_nobody_deploys(registry, monkeypatch):
    record_of(service_of(registry, "latest"), DeployOutcome.WAITING, ended=False)
    engine = OneEngine(service_of(registry, "latest"))
    assert ask_one(engine).last.outcome == "interrupted"
    monkeypatch.setattr(site_lock, "is_locked", lambda _path: True)
    assert ask_one(engine).last.outcome == "waiting"


def test_a_service_that_a_deployment_did_not_come_to_is_not_reached(registry):
    record_of(service_of(registry, "latest"), DeployOutcome.WAITING)
    assert ask_one(OneEngine(service_of(registry, "latest"))).last.outcome == "not reached"


def test_a_record_of_another_target_says_nothing_about_a_service(registry):
    record = deployment_record.begin_record(replace(SITE, services=(SERVER,)), "kubernetes")
    deployment_record.write_record(record)
    assert ask_one(OneEngine(service_of(registry, "latest"))).last is None
    (note,) = ask(OneEngine()).notes
    assert note.startswith(f"{record.id} of this machine deployed shop to kubernetes, but nothing of it runs here")


def test_a_damaged_record_is_a_note(registry, tmp_path):
    record = record_of(service_of(registry), DeployOutcome.DEPLOYED)
    (tmp_path / "home/tierwright/sites/shop" / f"{record.id}.json").write_text("{")
    answer = ask(OneEngine(service_of(registry)))
    assert answer.services[0].last is None
    assert "is not a valid record of a deployment" in answer.notes[0]
