"""Every engine that is supported and can be had here: what the product asks of one, and the demo chain from nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from engines import machine, roots
from engines.catalogue import CHOICES
from integration.conftest import DEMO, ROOT

BUILD = "ansible-playbook build-chain.yml >&2"
#: What is asked of the demo chain on each engine; sizes and times are the engine's and the run's.
QUESTIONS = {
    "tree": ["tree", "--json"],
    "layers": ["layers", "wordpress", "--json"],
    "blame": ["blame", "wordpress", "/etc/motd", "--json"],
    "diff": ["diff", "httpd-php", "wordpress", "--json"],
}
OF_THE_RUN = {"size", "own", "shared", "built", "names", "created", "number", "parent"}


@pytest.fixture(params=CHOICES)
def on(request):
    """Run a command on a machine of its own with an engine."""
    name = request.param
    try:
        if reason := machine.why_not():
            pytest.skip(reason)
        roots.fetch(CHOICES[name])
    except roots.NotToBeHadError as error:
        pytest.skip(str(error))

    def run(*words):
        done = subprocess.run(
            [sys.executable, "-m", "engines", "start", name, *words],
            cwd=ROOT,
            env={**own_environment(), "PYTHONPATH": str(ROOT / "tests")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run.name = name
    return run


def own_environment():
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}


@pytest.mark.timeout(900)
def test_an_engine_answers_as_the_fake_one_does(on):
    print(on(sys.executable, "-m", "pytest", "-q", "tests/engines", f"--junitxml=reports/{on.name}.xml"))  # noqa: T201


@pytest.fixture(scope="session")
def reference(demo):
    """What this machine's own engine answers."""
    assert demo.keys() == LAYERS.keys()
    asked = {kind: subprocess.check_output(["tierwright", *words], cwd=ROOT) for kind, words in QUESTIONS.items()}
    return {kind: told(json.loads(answer)) for kind, answer in asked.items()}


@pytest.mark.timeout(1800)
def test_the_demo_chain_is_the_same_and_is_told_the_same(on, reference, tmp_path):
    asked = "; ".join(f"tierwright {' '.join(words)} > {tmp_path}/{kind}" for kind, words in QUESTIONS.items())
    state = f"export XDG_STATE_HOME={tmp_path}/state XDG_CACHE_HOME={tmp_path}/cache"
    on("sh", "-ec", f"{state}; {BUILD}; {asked}")
    answers = {kind: told(json.loads((tmp_path / kind).read_text())) for kind in QUESTIONS}
    assert answers == reference
    assert {each["tier"]: each["layers"] for each in answers["tree"]} == LAYERS
    assert answers["blame"]["owner"]["tier"] == "corebuild"


LAYERS = dict(zip(DEMO, (1, 2, 3, 3, 4), strict=True))


def told(answer):
    """An answer without what is the engine's or the run's own; the tree only as far as it is the demo's."""
    if isinstance(answer, dict) and "images" in answer:
        images = [each for each in answer["images"] if f"{each['tier']}:latest" in each["names"]]
        answer = sorted((each for each in images if each["tier"] in DEMO), key=lambda each: each["tier"])
    if isinstance(answer, list):
        return [told(each) for each in answer]
    if isinstance(answer, dict):
        return {key: told(value) for key, value in answer.items() if key not in OF_THE_RUN}
    return answer
