"""Kills at 20 moments of roll-outs, on a machine of its own."""

from __future__ import annotations

import pytest

from site_machine import run_on_own_machine


@pytest.mark.timeout(7200)
def test_a_site_survives_kills():
    images = [f"{name}:latest" for name in ("mariadb", "wordpress", "haproxy")]
    print(run_on_own_machine("tests/site/test_kills.py", images=images))  # noqa: T201 - output for docs/soak.md
