"""The tutorial on a bare machine: all of its commands, in order, with what it says that they print."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines import machine
from written_steps import Command, differences, done, script, steps

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(3600)

#: From `pip install` to a green chain of one's own with tests, on a machine with two cores and nothing else to do.
CHAIN_SECONDS = float(os.environ.get("CHAIN_SECONDS", "900"))
FIRST, LAST = "pip install tierwright", "ansible-playbook build-chain.yml"


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_tutorial_works_on_a_bare_machine(suite):
    found = list(steps((ROOT / "docs/tutorial.md").read_text()))
    with machine.folder() as data:
        wheels = data / "data/wheels"
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", wheels]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        file = data / "data/steps.sh"
        # pip finds the wheel in a folder. Everything that it requires comes from PyPI.
        file.write_text(f"export PIP_FIND_LINKS={wheels}\ncd\n{script(found)}")
        process = subprocess.run(
            machine.bare(suite, data, ["bash", str(file)]),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    results = done(found, process.stdout)
    for result in results:
        print(f"{result.seconds:7.1f} s  {result.command.text.splitlines()[0]}")  # noqa: T201 - output for docs/soak.md
    commands = [step for step in found if isinstance(step, Command)]
    assert len(results) == len(commands), process.stdout[-6000:]
    assert [(it.command.line, it.status) for it in results if (it.status != 0) != it.command.fails] == []
    assert {it.command.line: lines for it in results if (lines := differences(it))} == {}, process.stdout
    texts = [it.command.text for it in results]
    begin, end = texts.index(FIRST), [place for place, text in enumerate(texts) if text == LAST][1]
    assert sum(it.seconds for it in results[begin : end + 1]) < CHAIN_SECONDS
