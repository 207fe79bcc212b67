"""Fixtures for releases: engines that fail at a given call, and a chain with releases on an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineUnavailableError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.promotion import Releases, plan_moves
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.rollback import Rollback, plan_rollback
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.tag_transaction import move_all
from fake_engine import FakeEngine, World

PARENTS = {"base": None, "core": "base", "php": "core", "db": "core"}


class KilledError(BaseException):
    """The process that calls the engine was killed: no handler may catch this error."""


def fail_at_call(
    calls: int, *, carried_out: bool = False, error: type[BaseException] | BaseException = KilledError
) -> Callable[[Callable[[], Any]], Any]:
    """Return a function for `FakeEngine.intercept` that raises `error` at call number `calls`, and at all later calls.

    `carried_out` decides whether the engine still executes this call.
    """
    remaining = calls

    def intercept(call: Callable[[], Any]) -> Any:
        nonlocal remaining
        if remaining == 0:
            raise error
        remaining -= 1
        if remaining > 0:
            return call()
        if carried_out:
            call()
        raise error

    return intercept


@pytest.fixture
def reach() -> Callable[..., FakeEngine]:
    """Connect to the engine of a world. `reach(world, 3, carried_out=True)` fails at the third call."""

    def reach(world: World, dies_at: int | None = None, **options: Any) -> FakeEngine:
        return FakeEngine(world, intercept=None if dies_at is None else fail_at_call(dies_at, **options))

    return reach


@pytest.fixture
def killed() -> type[BaseException]:
    return KilledError


@pytest.fixture
def gone() -> EngineUnavailableError:
    return EngineUnavailableError("gone")


class Shop:
    """A chain that can be promoted and rolled back. `state_at` has the correct state after each release."""

    def __init__(self, make_tier: Callable[..., Tier]) -> None:
        self.chain = Chain(make_tier(name, parent) for name, parent in PARENTS.items())
        self.engine = FakeEngine()
        self.images, self.names = self.engine.world.images, self.engine.world.names
        self.state_at: dict[str, dict[str, str]] = {}
        self.moment = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
        self.image_count = 0

    @property
    def state(self) -> dict[str, str]:
        return {name: self.names[f"{name}:latest"] for name in PARENTS if f"{name}:latest" in self.names}

    def tagged(self, prefix: str) -> dict[str, str]:
        return {ref: image for ref, image in self.names.items() if ref.partition(":")[2].startswith(prefix)}

    def promote(self, *tiers: str, images: Mapping[str, str] | None = None) -> str:
        candidates = {}
        for name in tiers:
            self.image_count += 1
            image = (images or {}).get(name, f"sha256:{name}-{self.image_count}")
            self.engine.add(image, None, *self.engine.world.names_of(image), f"{name}:key-{self.image_count:016x}")
            candidates[name] = image
        release, moves = plan_moves(self.chain, candidates, self.engine.images.snapshot().names, self.moment)
        move_all(self.engine, "demo", moves)
        self.state_at[release] = self.state
        return release

    def roll_back(self, release: str | None = None, selected: tuple[str, ...] = tuple(PARENTS)) -> Rollback:
        rollback = plan_rollback(self.chain, selected, self.engine.images.snapshot().names, release, self.moment)
        move_all(self.engine, "demo", rollback.moves)
        return rollback

    @property
    def releases(self) -> Releases:
        return Releases(PARENTS, self.engine.images.snapshot().names)


@pytest.fixture
def make_shop(make_tier: Callable[..., Tier], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], Shop]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    return lambda: Shop(make_tier)


@pytest.fixture
def shop(make_shop: Callable[[], Shop]) -> Shop:
    return make_shop()
