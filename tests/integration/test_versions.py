"""What other releases of ansible-core could do otherwise, with the oldest and the newest that are supported."""

from __future__ import annotations

import os
import subprocess

import pytest

from .conftest import BIN, PYTHON_IMAGE, ROOT

pytestmark = [pytest.mark.once, pytest.mark.own_engine, pytest.mark.usefixtures("demo_base")]


@pytest.mark.parametrize("session", ["oldest", "newest"])
def test_what_depends_on_ansible_core(session, python_image):
    """In one go, so that the environment and what tests share is made once; reports/ has each test's own time."""
    done = subprocess.run(
        [BIN / "nox", "--session", session, "--", "integration"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        | {PYTHON_IMAGE: python_image},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout or "skipped" in done.stdout, done.stdout
