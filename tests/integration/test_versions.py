"""The tests that depend on ansible-core, with the oldest and the newest supported release."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from .conftest import BIN, OUTER_BASE, PYTHON_IMAGE, ROOT, SHARED_BASE

pytestmark = [pytest.mark.once, pytest.mark.own_engine, pytest.mark.usefixtures("demo_base")]


@pytest.mark.parametrize(
    ("session", "part"),
    [
        pytest.param(session, part, marks=pytest.mark.sampled("another ansible-core", f"{session} {part}"))
        for session, part in (("oldest", "integration"), ("newest", "connection"), ("newest", "others"))
    ],
)
def test_tests_pass_with_a_different_ansible_core(session, part, python_image, rootfs):
    """All in one session, so environment and shared fixtures are made once. `reports/` has the time of each test."""
    process = subprocess.run(
        [BIN / "nox", "--session", session, "--", part],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        | {PYTHON_IMAGE: python_image, OUTER_BASE: json.dumps({"name": SHARED_BASE, "archive": rootfs})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout
    assert " passed" in process.stdout or "skipped" in process.stdout, process.stdout
