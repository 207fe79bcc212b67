"""What the product asks of an engine, with every engine that is supported and can be had here."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from engines import machine, roots
from engines.catalogue import CHOICES

from .conftest import ROOT

pytestmark = pytest.mark.once


@pytest.mark.skipif(machine.VARIABLE in os.environ, reason="these tests run with one engine already")
@pytest.mark.parametrize("name", CHOICES)
def test_an_engine_does_what_it_is_asked(name):
    """In a session of its own, on a machine of its own; reports/ has each test's own time."""
    try:
        if reason := machine.why_not():
            pytest.skip(reason)
        roots.fetch(CHOICES[name])
    except roots.NotToBeHadError as error:
        pytest.skip(str(error))
    session = [sys.executable, "-m", "pytest", "--engine", name, "-m", "every_engine", "tests/integration"]
    done = subprocess.run(
        [*session, f"--junitxml=reports/{name}.xml"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
