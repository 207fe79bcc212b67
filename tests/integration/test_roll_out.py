"""A site on Swarm is patched, on a machine of its own. The whole walk-through is in tests/soak/test_patching.py."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from site_machine import run_on_own_machine

from .machines import DEMO

pytestmark = [pytest.mark.once, pytest.mark.own_engine, pytest.mark.sampled("sites")]


@pytest.mark.usefixtures("demo")
def test_a_site_is_deployed_and_patched_and_goes_back_from_a_bad_image(engine):
    chain = engine.images.list(filters={"label": f"{labels.CHAIN}={DEMO}"})
    released = [image for image in chain if f"{image.labels.get(labels.TIER)}:latest" in image.tags]
    tags = [tag for image in released for tag in image.tags]
    print(run_on_own_machine("tests/site/test_roll_out.py", images=tags))  # noqa: T201 - the report of the visitors
