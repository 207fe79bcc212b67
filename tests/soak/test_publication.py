"""Twenty moments at which a publication is killed, spread over all data between it and a real registry."""

from __future__ import annotations

import os

import pytest

from publishing import KillCampaign, MadeChain, choose
from real_registry import free_port

COUNT, SEED = int(os.environ.get("KILLS", "20")), int(os.environ.get("SEED", "1"))


@pytest.mark.timeout(1800)
def test_a_killed_publication_leaves_complete_images_and_the_next_one_finishes(registry, engine, environment, tmp_path):
    port = int(registry.rpartition(":")[2])
    chain = MadeChain(tmp_path, f"localhost:{free_port()}", port, engine, environment)
    chain.write()
    try:
        campaign = KillCampaign(chain)
        pieces = campaign.pieces()
        for number in choose(COUNT, SEED, pieces):
            states = campaign.try_one(number)
            print(f"killed at piece {number} of {pieces}: {states}")  # noqa: T201 - output for docs/soak.md
    finally:
        chain.clear()
