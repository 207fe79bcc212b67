"""Two releases of an image in the registry of tests, for tests of what a site runs."""

from __future__ import annotations

from fake_registry import FakeRegistry
from published_images import publish, tier_layer

BASE, OLD, NEW = (tier_layer(number) for number in (1, 2, 3))
RELEASE, NEXT_RELEASE = "release-20261124T093000Z", "release-20261125T093000Z"
#: IDs of images.
IDS = {name: f"sha256:{name * 64}" for name in "abc"}


def publish_releases(registry: FakeRegistry) -> None:
    """Publish both releases of ``team/web``. The second one is the newest."""
    publish(registry, "team/web", RELEASE, [BASE, OLD])
    publish(registry, "team/web", "latest", [BASE, NEW])
    publish(registry, "team/web", NEXT_RELEASE, [BASE, NEW])
