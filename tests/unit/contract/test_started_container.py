"""How tests wait for the containers that they start."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract import started_container
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.container_operations import ContainerState
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.started_container import StartedContainer


class Container:
    """A container that ends after a number of looks at it."""

    id, tier, alias = "c1", "web", "www"

    def __init__(self, looks: float = float("inf"), config: object = None) -> None:
        self._looks, self.config = looks, config or {}

    def state(self):
        self._looks -= 1
        running = self._looks > 0
        return ContainerState(running, None if running else 3, None, "10.0.0.2")


@pytest.fixture
def clock(monkeypatch):
    """A clock that only pauses move. It records them."""

    class Clock:
        def __init__(self):
            self.pauses = []

        def sleep(self, seconds):
            self.pauses.append(seconds)

        def monotonic(self):
            return sum(self.pauses)

    clock = Clock()
    monkeypatch.setattr(started_container, "time", clock)
    return clock


def test_a_wait_looks_often_at_first_and_then_four_times_a_second(clock):
    answers = iter([*[False] * 40, True])
    StartedContainer(Container()).wait(lambda: next(answers))
    assert clock.pauses[0] <= 0.02
    assert len([pause for pause in clock.pauses if pause < 0.1]) >= 4
    assert clock.pauses == sorted(clock.pauses)
    assert clock.pauses[-1] == 0.25


def test_a_wait_ends_in_time_with_the_last_error(clock):
    def refused():
        raise ConnectionRefusedError("refused")

    with pytest.raises(AssertionError, match="www: the condition was not true after 2 s; last error: refused"):
        StartedContainer(Container()).wait(refused, timeout=2)
    assert 2 < clock.monotonic() < 2.5


@pytest.mark.usefixtures("clock")
def test_a_wait_ends_with_the_container():
    with pytest.raises(AssertionError, match="www: the container ended with exit status 3 during the wait"):
        StartedContainer(Container(looks=2)).wait(lambda: False)


def test_the_end_of_a_container_is_noticed_soon(clock):
    assert StartedContainer(Container(looks=3)).wait_ended() == 3
    assert clock.monotonic() < 0.05
    with pytest.raises(AssertionError, match="www: still runs after 1 s"):
        StartedContainer(Container()).wait_ended(timeout=1)
