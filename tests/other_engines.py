"""What tests do on engines that this machine does not have: each is on a machine of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines import machine, roots
from engines.catalogue import CHOICES

ROOT = Path(__file__).parents[1]
#: Tiers of the demo chain, and how many layers the image of each has.
LAYERS = {"base": 1, "corebuild": 2, "httpd-php": 3, "mariadb": 3, "wordpress": 4}
#: What is asked of the demo chain; sizes and times are the engine's and the run's.
_QUESTIONS = {
    "tree": ["tree", "--json"],
    "layers": ["layers", "wordpress", "--json"],
    "blame": ["blame", "wordpress", "/etc/motd", "--json"],
    "diff": ["diff", "httpd-php", "wordpress", "--json"],
}
_OF_THE_RUN = {"size", "own", "shared", "built", "names", "created", "number", "parent"}

RunOn = Callable[..., str]


def run_on(name: str) -> RunOn:
    """Give what runs a command on a machine with an engine of the catalogue, and returns what that says.

    Skips the test where there can be no such engine here.
    """
    if reason := machine.why_not():
        pytest.skip(reason)
    try:
        roots.fetch(CHOICES[name])
    except roots.NotToBeHadError as error:
        pytest.skip(str(error))

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "engines", "start", name, *words],
            cwd=ROOT,
            env={**_own_environment(), "PYTHONPATH": str(ROOT / "tests")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def ask_all_questions(name: str) -> str:
    """Ask an engine what tests/engine_contract asks; return what pytest says of it."""
    return run_on(name)(sys.executable, "-m", "pytest", "-q", "tests/engines", f"--junitxml=reports/{name}.xml")


def answers_here() -> dict[str, Any]:
    """Ask this machine's own engine about the demo chain, which it has."""
    asked = {kind: subprocess.check_output(["tierwright", *words], cwd=ROOT) for kind, words in _QUESTIONS.items()}
    return {kind: _comparable(json.loads(answer)) for kind, answer in asked.items()}


def build_and_ask(name: str, folder: Path) -> dict[str, Any]:
    """Build the demo chain from nothing on another engine, and ask that about it.

    Args:
        name: The engine's.
        folder: Takes answers, state and caches.
    """
    asked = "; ".join(f"tierwright {' '.join(words)} > {folder}/{kind}" for kind, words in _QUESTIONS.items())
    state = f"export XDG_STATE_HOME={folder}/state XDG_CACHE_HOME={folder}/cache"
    run_on(name)("sh", "-ec", f"{state}; ansible-playbook build-chain.yml >&2; {asked}")
    return {kind: _comparable(json.loads((folder / kind).read_text())) for kind in _QUESTIONS}


def assert_equal(answers: dict[str, Any], reference: dict[str, Any]) -> None:
    """Fail where an engine's demo chain, or what is told of it, is not this machine's."""
    if _revisions(answers) != _revisions(reference):
        pytest.fail(
            "this machine's demo chain was built from older commits of its roles, which its labels and times show; "
            "build it again (-e tier_force=corebuild,httpd-php,mariadb,wordpress), and run this test after that"
        )
    assert answers == reference
    assert {each["tier"]: each["layers"] for each in answers["tree"]} == LAYERS
    assert answers["blame"]["owner"]["tier"] == "corebuild"


def _revisions(answers: dict[str, Any]) -> list[str | None]:
    return [each["layer"].get("revision") for each in answers["layers"]["layers"]]


def _own_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}


def _comparable(answer: Any) -> Any:
    """An answer without what is the engine's or the run's own; the tree only as far as it is the demo's."""
    if isinstance(answer, dict) and "images" in answer:
        images = [each for each in answer["images"] if f"{each['tier']}:latest" in each["names"]]
        answer = sorted((each for each in images if each["tier"] in LAYERS), key=lambda each: each["tier"])
    if isinstance(answer, list):
        return [_comparable(each) for each in answer]
    if isinstance(answer, dict):
        return {key: _comparable(value) for key, value in answer.items() if key not in _OF_THE_RUN}
    return answer
