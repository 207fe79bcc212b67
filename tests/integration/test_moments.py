"""Some of the moments of which `tests/soak` tries many: a run ends with a true status whatever happens to a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moments import Campaign, Moment

from .conftest import ROOT, MakeChain

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def campaign(
    make_chain: MakeChain, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Campaign]:
    with make_chain(tmp_path_factory.mktemp("chain")) as chain:
        campaign = Campaign(chain, ROOT, environment)
        campaign.begin()
        yield campaign


@pytest.mark.parametrize("moment", [Moment("worker", 0, 4), Moment("ansible-playbook", 3, 4)], ids=str)
def test_a_run_ends_with_a_true_status_whatever_happens_to_a_process(campaign, moment):
    assert campaign.try_one(moment).met
