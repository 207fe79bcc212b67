"""A few of the many moments that `tests/soak` tries: whatever happens to a process, the status of a run is true."""

from __future__ import annotations

import pytest

from moments import Campaign, Moment

from .conftest import ROOT

pytestmark = pytest.mark.once


@pytest.mark.parametrize("moment", [Moment("worker", 0, 4)], ids=str)
def test_the_status_of_a_run_is_true_whatever_happens_to_a_process(small_chain, environment, moment):
    assert Campaign(small_chain, ROOT, environment).try_one(moment).victim_found
