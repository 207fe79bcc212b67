"""The demo of three teams with a registry between them, as its README tells a reader to run it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from integration.conftest import BIN
from integration.removal import remove_images

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "inventories/handover"


@pytest.fixture
def clean(engine):
    """Remove what the demo makes, before and after it. Its registry has a home folder of its own."""

    def remove():
        for lock in DEMO.glob("*/chain.lock"):
            lock.unlink()
        for pattern in ("127.0.0.1:5000/*/*", "handover-*/*"):
            remove_images(engine, f"reference={pattern}")

    remove()
    yield
    remove()


@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("clean")
def test_the_demo_ends_as_its_readme_says(environment, tmp_path):
    process = subprocess.run(
        [DEMO / "demo.sh"],
        cwd=ROOT,
        env={**environment, "PATH": f"{BIN}{os.pathsep}{environment['PATH']}", "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    output = process.stdout
    assert process.returncode == 0, output
    print(*[line for line in output.splitlines() if line.startswith("===") or " says " in line], sep="\n")  # noqa: T201
    *accepted, rejected = output.split("\n=== ")[-3:-1]
    assert "wordpress says no to 127.0.0.1:5000/middleware/httpd-php@" in rejected
    assert "tier 'httpd-php' is not published: 127.0.0.1:5000/development/wordpress" in rejected
    assert "mysqli_real_connect" in rejected
    assert "says no" not in "".join(accepted)
