"""Some of the moments of which `tests/soak` tries many: a run ends with a true status whatever happens to a process."""

from __future__ import annotations

import pytest

from moments import Campaign, Moment

from .conftest import ROOT

pytestmark = pytest.mark.once


@pytest.mark.parametrize("moment", [Moment("worker", 0, 4)], ids=str)
def test_a_run_ends_with_a_true_status_whatever_happens_to_a_process(small_chain, environment, moment):
    assert Campaign(small_chain, ROOT, environment).try_one(moment).met
