"""What unit tests share: tiers and images that exist in memory only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils.chain.tier import Bootstrap, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.images import Image

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
