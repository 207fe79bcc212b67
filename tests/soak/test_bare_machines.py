"""The command of the README on bare machines, and for ordinary users who have their own engine."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from engines import machine

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(3600)
#: The command of the README, followed by two verbs.
CHAIN = "make -C {} chain && cd {} && .venv/bin/tierwright tree && .venv/bin/tierwright blame wordpress /etc/motd"


def build_the_chain(command: Sequence[str]) -> None:
    process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert process.returncode == 0, process.stdout
    assert "wordpress:latest" in process.stdout, process.stdout
    print("\n".join(process.stdout.splitlines()[-30:]))  # noqa: T201 - output for docs/soak.md


def shell_command(clone: Path) -> list[str]:
    return ["sh", "-ec", CHAIN.format(clone, clone)]


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_make_chain_works_on_a_bare_machine(suite):
    with machine.folder() as data:
        clone = data / "data/clone"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        build_the_chain(machine.bare(suite, data, shell_command(clone)))


@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_make_chain_works_for_an_ordinary_user(engine):
    """The engines are those of Debian 13, which users can run without root."""
    with machine.folder() as data:
        shared = data / "data/shared"
        subprocess.run(["git", "clone", "--quiet", "--bare", ROOT, shared], check=True)
        clone = data / "data/home/clone"
        script = f"git config --global safe.directory '*'; git clone -q {shared} {clone}; {CHAIN.format(clone, clone)}"
        build_the_chain(machine.rootless(engine, "trixie", data, ["sh", "-ec", script]))
