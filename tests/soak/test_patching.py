"""The walk-through of docs/patching.md, on a machine of its own."""

from __future__ import annotations

import pytest

from site_machine import run_on_own_machine


@pytest.mark.timeout(3600)
def test_a_security_update_walks_from_the_archive_to_the_running_site():
    print(run_on_own_machine("tests/site/test_patching.py"))  # noqa: T201 - output for docs/soak.md
