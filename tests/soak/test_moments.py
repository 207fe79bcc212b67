"""Forty moments at which one process of a run is killed, or stopped for a minute."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from integration.conftest import ROOT
from moments import Campaign, choose

COUNT, SEED = int(os.environ.get("MOMENTS", "40")), int(os.environ.get("SEED", "1"))
PAUSE = float(os.environ.get("PAUSE", "60"))


@pytest.fixture(scope="module")
def campaign(
    make_chain: Any, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Campaign]:
    with make_chain(tmp_path_factory.mktemp("chain")) as chain:
        campaign = Campaign(chain, ROOT, environment)
        campaign.begin()
        yield campaign


@pytest.mark.timeout(900)
@pytest.mark.parametrize("moment", choose(COUNT, SEED, pause=PAUSE, longest=15), ids=str)
def test_a_run_with_a_killed_or_stopped_process_ends_with_a_true_status(campaign, moment):
    result = campaign.try_one(moment)
    victim = "found" if result.victim_found else "not found"
    print(f"{moment}: {victim}, status {result.code}, {result.seconds:.0f} s later")  # noqa: T201
