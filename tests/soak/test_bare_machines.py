"""The README's command on bare machines, each with a release of Debian that builds are promised to work on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engines import machine

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_make_chain_needs_nothing_else(suite):
    with machine.folder() as data:
        subprocess.run(["git", "clone", "--quiet", ROOT, data / "clone"], check=True)
        command = machine.bare(suite, data, ["make", "-C", str(data / "clone"), "chain"])
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "wordpress:latest" in done.stdout, done.stdout
