"""Runs tests of sites on a machine of their own, because they make its engine a Swarm."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from engines import machine

ROOT = Path(__file__).parents[1]
#: Environment variable that says: this machine was made for tests of sites.
VARIABLE = "TIERWRIGHT_TEST_SITE"


def run_on_own_machine(path: str, *, images: Sequence[str] = ()) -> str:
    """Run tests on a new machine with an engine of its own, and return the output of pytest.

    Skips the test if no other machine is possible here.

    Args:
        path: The file with the tests.
        images: Names of images in this engine that the other engine gets.
    """
    if reason := machine.why_unavailable():
        pytest.skip(reason)
    with machine.folder() as data:
        (data / "tmp").mkdir()
        if images:
            subprocess.run(["docker", "save", "--output", str(data / "images.tar"), *images], check=True)
        report = f"--junitxml=reports/{Path(path).stem}.xml"
        words = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", report, path]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "DOCKER_"))}
        process = subprocess.run(
            machine.with_engine(data, machine.free_number(), words),
            cwd=ROOT,
            env={**kept, VARIABLE: "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert process.returncode == 0, process.stdout
    return process.stdout
