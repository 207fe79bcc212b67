"""What unit tests share: tiers and images that exist in memory only."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import settings

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Bootstrap, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import Identity, Image, Snapshot
from opened_images import opened, store  # noqa: F401 - fixtures
from shop import gone, killed, make_shop, reach, shop  # noqa: F401 - fixtures

# Machines are slow at times, and no test is about time. Each run tries other examples, so few do for one of them;
# `make soak` tries many.
settings.register_profile("tierwright", deadline=None, max_examples=int(os.environ.get("EXAMPLES", "25")))
settings.load_profile("tierwright")

MakeTier = Callable[..., Tier]
MakeImage = Callable[..., Image]


@pytest.fixture
def make_tier() -> MakeTier:
    """Make a tier: a base where no parent is given."""

    def make(name: str, parent: str | None = None, **more: Any) -> Tier:
        fields = {"team": "operations", "image": name, "tag": "latest", **more}
        if parent is None:
            return Tier(name=name, source=Bootstrap("bookworm"), **fields)
        return Tier(name=name, parent=parent, role=more.pop("role", name.replace("-", "_")), **fields)

    return make


@pytest.fixture
def make_image() -> MakeImage:
    """Make what an engine would say of an image."""

    def make(identifier: str, labels: Mapping[str, str], *layers: str) -> Image:
        return Image(
            id=identifier,
            layers=layers,
            labels=labels,
            config={"Labels": labels},
            tags=(),
            size=1,
            architecture="amd64",
            os="linux",
        )

    return make


@pytest.fixture
def make_snapshot() -> Callable[[Mapping[str, Identity]], Snapshot]:
    """Make a snapshot of an engine whose images are given by name."""

    def make(named: Mapping[str, Identity]) -> Snapshot:
        names: dict[str, list[str]] = {}
        for name, image in named.items():
            names.setdefault(image.id, []).append(name)
        return Snapshot((image, names[image.id]) for image in {each.id: each for each in named.values()}.values())

    return make
