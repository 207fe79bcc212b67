"""Consumers are asked before a release tag moves: yes, no, too late, unreachable, hostile."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    ContractError,
    DamagedError,
    EngineError,
    RunError,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.verdicts import (
    ConsumerVerdict,
    verdict_tag,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.consumers import (
    Consumers,
    OfferedImage,
    ask_consumers,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.tell_verdict import tell_verdict
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.tier_records import RejectedTest
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from fake_registry import digest, fake_registry
from published_images import publish, tier_layer

TEST = RejectedTest("test_it.py::test_php", "development", "shop", "no PHP\nat all", "log 1\nlog 2")


class World:
    """A registry, a clock, and things that happen at certain times."""

    def __init__(self, registry):
        self.registry = registry
        self.now = 0.0
        self.lines = []
        self.events = []
        self.core, _config = publish(registry, "ops/core", "candidate", [tier_layer(1)], owners=["core"])
        self.other, _config = publish(registry, "ops/core", "other", [tier_layer(2)], owners=["core"])

    def name(self, repository):
        return f"{self.registry.host}/{repository}"

    def tell(self, repository, *, passed=True, about=None, **changes):
        verdict = ConsumerVerdict(
            self.name("ops/core"), about or self.core, repository.rpartition("/")[2], "development", passed, 3
        )
        if not passed:
            verdict = replace(verdict, problem="1 of 3 tests fails", failed=(TEST,))
        tell_verdict(RegistryWriter(self.registry.host), repository, replace(verdict, **changes))

    def at(self, seconds, event):
        self.events.append((seconds, event))

    def sleep(self, seconds):
        assert 0 < seconds <= 2
        self.now += seconds
        due = [event for moment, event in self.events if moment <= self.now]
        self.events = [entry for entry in self.events if entry[0] > self.now]
        for event in due:
            event()

    def offer(self, *repositories, needed=None, timeout=600.0, image="ops/core", manifest=None):
        names = tuple(map(self.name, repositories))
        consumers = Consumers(names, len(names) if needed is None else needed, timeout)
        return OfferedImage(image.rpartition("/")[2], self.name(image), manifest or self.core, consumers)

    def ask(self, *offers):
        ask_consumers(
            list(offers), Registries().reader, self.lines.append, sleep=self.sleep, clock=lambda: 1000 + self.now
        )

    def failure(self, kind, *offers):
        with pytest.raises(kind) as raised:
            self.ask(*offers)
        return str(raised.value)


@pytest.fixture
def world(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(registry_client, "_DELAYS", ())
    with fake_registry() as registry:
        yield World(registry)


def test_all_consumers_must_say_yes(world):
    world.tell("dev/shop")
    world.at(100, lambda: world.tell("dev/site"))
    world.ask(world.offer("dev/shop", "dev/site"))
    assert 100 <= world.now <= 102
    assert world.lines == [
        f"{world.name('dev/shop')} says yes to core (development)",
        f"waiting for the verdict of {world.name('dev/site')} on core",
        f"waiting for the verdict of {world.name('dev/site')} on core",
        f"{world.name('dev/site')} says yes to core (development)",
    ]


def test_a_no_names_the_consumer_its_test_and_its_log(world):
    world.tell("dev/shop")
    world.at(10, lambda: world.tell("dev/site", passed=False))
    message = world.failure(ContractError, world.offer("dev/shop", "dev/site", "dev/third"))
    assert world.now <= 12
    assert message.splitlines() == [
        (
            f"tier 'core' is not published: {world.name('dev/site')} (tier 'site' of team development) says no to "
            f"{world.name('ops/core')}@{world.core}; no release tag moved"
        ),
        "1 of 3 tests fails",
        "test_it.py::test_php (of tier 'shop', team development):",
        "  no PHP",
        "  at all",
        "  log 1",
        "  log 2",
    ]


def test_all_consumers_that_say_no_are_named(world):
    world.tell("dev/shop", passed=False)
    world.tell("dev/site", passed=False)
    message = world.failure(ContractError, world.offer("dev/shop", "dev/site"))
    assert message.endswith(f"{world.name('dev/site')} says no, too")


def test_a_hostile_no_prints_few_short_escaped_lines(world):
    text = "\n".join(["\x1b[2Jstable was moved\r" + "x" * 9000] * 900)
    test = RejectedTest(text, text, text, text, text)
    world.tell("dev/shop", passed=False, problem=text, failed=(test,) * 9)
    message = world.failure(ContractError, world.offer("dev/shop"))
    assert "\x1b" not in message
    assert "\r" not in message
    assert len(message.splitlines()) <= 65
    assert max(map(len, message.splitlines())) <= 2000


def test_a_verdict_that_does_not_come_ends_the_waiting(world):
    world.tell("dev/shop")
    world.tell("dev/site", about=world.other)
    message = world.failure(ContractError, world.offer("dev/shop", "dev/site", timeout=33))
    assert world.now == 33
    assert message == (
        f"tier 'core' is not published: {world.name('dev/site')} gave no verdict on {world.name('ops/core')}@"
        f"{world.core} within 33 s (tier_verdict_timeout); its tag 'candidate' names this image, so its consumers can "
        "try it with `tierwright try-candidate`"
    )


def test_with_a_timeout_of_0_nobody_is_waited_for(world):
    message = world.failure(ContractError, world.offer("dev/shop", timeout=0))
    assert (world.now, "within 0 s" in message) == (0, True)
    world.tell("dev/shop")
    world.ask(world.offer("dev/shop", timeout=0))


def test_a_registry_that_is_down_is_asked_again(world):
    world.registry.fault = lambda _method, _path: 503
    world.at(30, lambda: setattr(world.registry, "fault", lambda _method, _path: None))
    world.at(50, lambda: world.tell("dev/shop"))
    world.ask(world.offer("dev/shop"))
    assert 50 <= world.now <= 52


def test_a_registry_that_stays_down_is_named_at_the_end(world):
    world.registry.fault = lambda _method, _path: 503
    message = world.failure(ContractError, world.offer("dev/shop", timeout=20))
    assert world.now == 20
    assert f"(registry {world.registry.host} answered the request for dev/shop:verdict-" in message
    assert "HTTP status 503" in message


def test_a_registry_that_was_down_is_not_blamed_later(world):
    world.registry.fault = lambda _method, _path: 503
    world.at(5, lambda: setattr(world.registry, "fault", lambda _method, _path: None))
    assert "HTTP status 503" not in world.failure(ContractError, world.offer("dev/shop", timeout=20))


def test_verdicts_are_heard_once_while_another_registry_is_down(world):
    world.registry.fault = lambda _method, path: 503 if "dev/site" in path else None
    world.tell("dev/shop")
    world.failure(ContractError, world.offer("dev/shop", "dev/site", timeout=10))
    assert world.lines.count(f"{world.name('dev/shop')} says yes to core (development)") == 1


def test_a_no_ends_the_waiting_while_another_registry_is_down(world):
    world.registry.fault = lambda _method, path: 503 if "dev/site" in path else None
    world.tell("dev/shop", passed=False)
    assert "says no" in world.failure(ContractError, world.offer("dev/site", "dev/shop"))
    assert world.now == 0


def test_a_registry_that_rejects_ends_the_waiting_at_once(world):
    world.registry.fault = lambda _method, path: 403 if "dev/shop" in path else None
    message = world.failure(EngineError, world.offer("dev/shop", "dev/site"))
    assert world.now == 0
    assert message.startswith("tier 'core' is not published: registry")
    assert "HTTP status 403" in message


def test_a_damaged_verdict_is_neither_yes_nor_no(world):
    world.registry.put("dev/shop", verdict_tag(world.core), b"{}")
    assert "is damaged" in world.failure(DamagedError, world.offer("dev/shop"))


def test_some_consumers_can_be_enough(world):
    world.registry.fault = lambda _method, path: 403 if "dev/site" in path else None
    world.at(10, lambda: world.tell("dev/shop"))
    world.ask(world.offer("dev/site", "dev/shop", "dev/third", needed=1))
    assert world.now == 10
    message = world.failure(EngineError, world.offer("dev/site", "dev/shop", needed=2))
    assert "403" in message


def test_a_no_counts_even_if_others_are_enough(world):
    world.tell("dev/shop", passed=False)
    world.tell("dev/site")
    assert "says no" in world.failure(ContractError, world.offer("dev/site", "dev/shop", needed=1))


def test_advice_stops_nothing(world):
    world.registry.fault = lambda _method, path: {"site": 403, "third": 503}.get(path.split("/")[3])
    world.registry.put("dev/fourth", verdict_tag(world.core), b"{}")
    world.tell("dev/shop", passed=False)
    world.ask(world.offer("dev/shop", "dev/site", "dev/third", "dev/fourth", "dev/fifth", needed=0))
    assert world.now == 0
    text = "\n".join(world.lines)
    assert f"{world.name('dev/shop')} says no to core" in text
    assert "  test_it.py::test_php" in text
    for name in ("site", "third", "fourth"):
        assert f"{world.name(f'dev/{name}')} cannot be asked about core: " in text


def test_several_images_are_waited_for_at_the_same_time(world):
    base, _config = publish(world.registry, "ops/base", "candidate", [tier_layer(3)], owners=["base"])
    offers = [
        world.offer("dev/shop", image="ops/base", manifest=base, timeout=50),
        world.offer("dev/shop", timeout=40),
    ]
    assert "tier 'core'" in world.failure(ContractError, *offers)
    assert world.now == 40
    world.tell("dev/shop", passed=False)
    assert "tier 'core'" in world.failure(ContractError, *offers)
    assert world.now == 40


def test_nothing_is_asked_without_images(world):
    world.ask()
    assert world.registry.requests == []


def test_another_candidate_ends_the_waiting(world):
    world.at(7, lambda: world.registry.tags.update({("ops/core", "candidate"): world.other}))
    message = world.failure(RunError, world.offer("dev/shop"))
    assert world.now <= 8
    assert f"core:candidate names {world.other} now, because somebody else offered this image" in message


def test_a_verdict_counts_even_if_there_is_another_candidate_meanwhile(world):
    world.registry.tags["ops/core", "candidate"] = digest(b"another")
    world.tell("dev/shop")
    world.ask(world.offer("dev/shop"))
