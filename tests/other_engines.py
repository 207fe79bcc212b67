"""Runs commands on engines that this machine does not have. Each engine runs on a separate machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from engines import machine, roots
from engines.catalogue import CHOICES

ROOT = Path(__file__).parents[1]
#: The tiers of the demo chain, with the number of layers of each image.
LAYERS = {"base": 1, "corebuild": 2, "httpd-php": 3, "mariadb": 3, "haproxy": 3, "wordpress": 4}
#: Queries about the demo chain.
_QUERIES = {
    "tree": ["tree", "--json"],
    "layers": ["layers", "wordpress", "--json"],
    "blame": ["blame", "wordpress", "/etc/motd", "--json"],
    "diff": ["diff", "httpd-php", "wordpress", "--json"],
}
#: Fields that depend on the engine or the run.
_VOLATILE = {"size", "own", "shared", "built", "names", "created", "number", "parent"}

RunOn = Callable[..., str]


def run_on(name: str) -> RunOn:
    """Return a function that runs a command on a machine with an engine of the catalogue, and returns its output.

    Skips the test if this engine is not possible here.
    """
    if reason := machine.why_unavailable():
        pytest.skip(reason)
    try:
        roots.fetch(CHOICES[name])
    except roots.UnavailableError as error:
        pytest.skip(str(error))

    def run(*words: str) -> str:
        process = subprocess.run(
            [sys.executable, "-m", "engines", "start", name, *words],
            cwd=ROOT,
            env={**_environment(), "PYTHONPATH": str(ROOT / "tests")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    return run


def run_engine_contract(name: str) -> str:
    """Run tests/engine_contract with an engine, and return the output of pytest."""
    return run_on(name)(sys.executable, "-m", "pytest", "-q", "tests/engines", f"--junitxml=reports/{name}.xml")


def local_answers() -> dict[str, Any]:
    """The answers about the demo chain on this machine's own engine."""
    answers = {kind: subprocess.check_output(["tierwright", *words], cwd=ROOT) for kind, words in _QUERIES.items()}
    return {kind: _comparable(json.loads(answer)) for kind, answer in answers.items()}


def build_and_query(name: str, folder: Path, core: Path | None = None) -> dict[str, Any]:
    """Build the demo chain from nothing on a different engine, and return the answers about it.

    Args:
        name: The engine.
        folder: Folder for answers, state and caches.
        core: The folder of the programs to use, if not those of this session.
    """
    programs = f"export PATH={core}:$PATH; " if core else ""
    queries = "; ".join(f"tierwright {' '.join(words)} > {folder}/{kind}" for kind, words in _QUERIES.items())
    state = f"export XDG_STATE_HOME={folder}/state XDG_CACHE_HOME={folder}/cache"
    run_on(name)("sh", "-ec", f"{programs}{state}; ansible-playbook build-chain.yml >&2; {queries}")
    return {kind: _comparable(json.loads((folder / kind).read_text())) for kind in _QUERIES}


def without_core(answers: dict[str, Any]) -> dict[str, Any]:
    """The answers without what the version of ansible-core changes in equal images.

    It is a part of the build key, and the key is a label. So it changes three labels, and the IDs of all images that
    have a parent. Layers, settings and all other labels stay.
    """
    text = json.dumps(answers)
    for image in answers["tree"]:
        if image["layers"] > 1:
            text = text.replace(image["id"], f"the image of {image['tier']}")
    answers = json.loads(text)
    for label in answers["diff"]["labels"]:
        for side in ("before", "after"):
            if label["name"] in {labels.KEY, labels.CONTENT}:
                label[side] = None
            elif label["name"] == labels.PARTS:
                label[side] = {key: part for key, part in json.loads(label[side]).items() if key != "ansible-core"}
    return answers


def assert_same_answers(answers: dict[str, Any], reference: dict[str, Any]) -> None:
    """Fail if the demo chain on an engine, or an answer about it, differs from this machine's."""
    if _revisions(answers) != _revisions(reference):
        pytest.fail(
            "the demo chain on this machine was built from older commits of its roles, as its labels and times show; "
            "rebuild it (-e tier_force=corebuild,httpd-php,mariadb,haproxy,wordpress), and run this test again"
        )
    assert answers == reference
    assert {image["tier"]: image["layers"] for image in answers["tree"]} == LAYERS
    assert answers["blame"]["owner"]["tier"] == "corebuild"


def _revisions(answers: dict[str, Any]) -> list[str | None]:
    return [entry["layer"].get("revision") for entry in answers["layers"]["layers"]]


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}


def _comparable(answer: Any) -> Any:
    """An answer without the fields that depend on the engine or the run. A tree is limited to the demo chain."""
    if isinstance(answer, dict) and "images" in answer:
        images = [image for image in answer["images"] if f"{image['tier']}:latest" in image["names"]]
        answer = sorted((image for image in images if image["tier"] in LAYERS), key=lambda image: image["tier"])
    if isinstance(answer, list):
        return [_comparable(entry) for entry in answer]
    if isinstance(answer, dict):
        return {key: _comparable(value) for key, value in answer.items() if key not in _VOLATILE}
    return answer
