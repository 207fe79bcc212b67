"""The README's command on bare machines, and for ordinary users who have an engine of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from engines import machine

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(3600)
#: What the README says, and two questions afterwards.
CHAIN = "make -C {} chain && cd {} && .venv/bin/tierwright tree && .venv/bin/tierwright blame wordpress /etc/motd"


def builds_the_chain(command: Sequence[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "wordpress:latest" in done.stdout, done.stdout
    print("\n".join(done.stdout.splitlines()[-30:]))  # noqa: T201 - what came out, for docs/soak.md


def words(clone: Path) -> list[str]:
    return ["sh", "-ec", CHAIN.format(clone, clone)]


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_make_chain_needs_nothing_else(suite):
    with machine.folder() as data:
        clone = data / "data/clone"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        builds_the_chain(machine.bare(suite, data, words(clone)))


@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_make_chain_as_an_ordinary_user(engine):
    """With the engines of Debian 13, whose kernels allow users to have them."""
    with machine.folder() as data:
        shared = data / "data/shared"
        subprocess.run(["git", "clone", "--quiet", "--bare", ROOT, shared], check=True)
        clone = data / "data/home/clone"
        script = f"git config --global safe.directory '*'; git clone -q {shared} {clone}; {CHAIN.format(clone, clone)}"
        builds_the_chain(machine.rootless(engine, "trixie", data, ["sh", "-ec", script]))
