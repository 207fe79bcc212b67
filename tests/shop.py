"""Engines that die, and a chain that is released on one."""

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
    """The process that calls the engine was killed: nothing of it runs any more."""


def dying(
    calls: int, *, carried_out: bool = False, error: type[BaseException] | BaseException = KilledError
) -> Callable[[Callable[[], Any]], Any]:
    """Let the call of this number be the last: it is carried out or not, and then there is no caller, or no engine."""
    left = calls

    def gate(call: Callable[[], Any]) -> Any:
        nonlocal left
        if left == 0:
            raise error
        left -= 1
        if left > 0:
            return call()
        if carried_out:
            call()
        raise error

    return gate


@pytest.fixture
def reach() -> Callable[..., FakeEngine]:
    """Reach a world's engine: `reach(world, 3, carried_out=True)` until the third call."""

    def reach(world: World, dies_at: int | None = None, **how: Any) -> FakeEngine:
        return FakeEngine(world, gate=None if dies_at is None else dying(dies_at, **how))

    return reach


@pytest.fixture
def killed() -> type[BaseException]:
    return KilledError


@pytest.fixture
def gone() -> EngineUnavailableError:
    return EngineUnavailableError("gone")


class Shop:
    """A chain whose images are promoted and rolled back, and what was released in truth."""

    def __init__(self, make_tier: Callable[..., Tier]) -> None:
        self.chain = Chain(make_tier(name, parent) for name, parent in PARENTS.items())
        self.engine = FakeEngine()
        self.held, self.names = self.engine.world.images, self.engine.world.names
        self.truth: dict[str, dict[str, str]] = {}
        self.moment = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
        self.made = 0

    @property
    def state(self) -> dict[str, str]:
        return {name: self.names[f"{name}:latest"] for name in PARENTS if f"{name}:latest" in self.names}

    def tag(self, form: str) -> dict[str, str]:
        return {ref: image for ref, image in self.names.items() if ref.partition(":")[2].startswith(form)}

    def promote(self, *tiers: str, images: Mapping[str, str] | None = None) -> str:
        moving = {}
        for name in tiers:
            self.made += 1
            image = (images or {}).get(name, f"sha256:{name}-{self.made}")
            self.engine.add(image, None, *self.engine.world.names_of(image), f"{name}:key-{self.made:016x}")
            moving[name] = image
        release, moves = plan_moves(self.chain, moving, self.engine.images.snapshot().names, self.moment)
        move_all(self.engine, "demo", moves)
        self.truth[release] = self.state
        return release

    def back(self, release: str | None = None, selected: tuple[str, ...] = tuple(PARENTS)) -> Rollback:
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
