"""Fixtures of unit tests: tiers and images that exist only in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import settings

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Bootstrap, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import Identity, Image, Snapshot
from opened_images import open_image, store  # noqa: F401 - fixtures
from shop import gone, killed, make_shop, reach, shop  # noqa: F401 - fixtures

# There is no time limit, because machines can be slow. Each run tries different examples, so a few per run are enough.
# `make soak` tries many.
settings.register_profile("tierwright", deadline=None, max_examples=int(os.environ.get("EXAMPLES", "25")))
settings.load_profile("tierwright")


def pytest_xdist_auto_num_workers() -> int:
    """Half as many workers more than cores: many tests wait a moment for a timer or for a process."""
    return len(os.sched_getaffinity(0)) * 3 // 2


MakeTier = Callable[..., Tier]
MakeImage = Callable[..., Image]


@pytest.fixture
def make_tier() -> MakeTier:
    """Make a tier. It is a base if no parent is given."""

    def make(name: str, parent: str | None = None, **options: Any) -> Tier:
        fields = {"team": "operations", "image": name, "tag": "latest", **options}
        if parent is None:
            return Tier(name=name, source=Bootstrap("bookworm"), **fields)
        return Tier(name=name, parent=parent, role=options.pop("role", name.replace("-", "_")), **fields)

    return make


@pytest.fixture
def make_image() -> MakeImage:
    """Make an image in the form that an engine reports."""

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
    """Make a snapshot of an engine with these images, which are given by name."""

    def make(named: Mapping[str, Identity]) -> Snapshot:
        names: dict[str, list[str]] = {}
        for name, image in named.items():
            names.setdefault(image.id, []).append(name)
        return Snapshot((image, names[image.id]) for image in {image.id: image for image in named.values()}.values())

    return make
