"""The federated gate: operations asks the teams that follow its tier before it moves its tag.

Three teams have three Git repositories, and three machines: homes, states and caches of their own. They share one
engine under different image names, because a second engine would first have to make its own mounted Python.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import docker
import pytest

from .conftest import BIN, MANIFESTS, ROOT, SmallChain
from .removal import remove_images

pytestmark = [pytest.mark.once, pytest.mark.sampled("projects")]

CONTRACT = """
    import pytest

    @pytest.mark.contract
    def test_operations_are_named(host):
        assert host.file("/etc/core").content_string.startswith("core")
"""
OWN_TEST = """
    def test_core_is_not_broken(start):
        web = start(command=["sh", "-c", "cat /etc/core; sleep 60"])
        web.wait(lambda: "core" in web.logs())
        assert "broken" not in web.logs(), "development cannot use this core"
"""


#: Engines of the other teams' machines, if they have some of their own: ``middleware=unix://…,development=unix://…``.
ENGINES = dict(pair.split("=", 1) for pair in os.environ.get("TEAM_ENGINES", "").split(",") if pair)


def write(file, text):
    return f"- name: Write\n  ansible.builtin.raw: echo {text} > /etc/{file}\n"


@dataclass
class Team:
    """A team with its repository and its machine."""

    chain: SmallChain
    registry: str
    environment: dict[str, str]

    def repository(self, tier):
        return f"{self.registry}/{self.chain.name}/{tier}"

    def run(self, playbook="build-chain.yml", *options):
        return self.chain.build(*options, playbook=f"{ROOT}/{playbook}", env=self.environment, cwd=self.chain.folder)

    def command(self, *words):
        """The output of `tierwright`, on this machine, in this repository."""
        process = subprocess.run(
            [BIN / "tierwright", *words],
            cwd=self.chain.folder,
            env={**self.environment, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert "Traceback" not in process.stdout, process.stdout
        return process.returncode, process.stdout

    def named(self, tier, tag="latest"):
        """The digest that a tag names in the registry; None if there is no such tag."""
        address = f"http://{self.repository(tier).replace('/', '/v2/', 1)}/manifests/{tag}"
        try:
            with urlopen(Request(address, headers=MANIFESTS)) as response:
                return response.headers["Docker-Content-Digest"]
        except HTTPError as error:
            if error.code != 404:
                raise
            return None


@pytest.fixture
def teams(tmp_path, make_chain, registry, engine, environment):
    """Operations owns `core`, middleware `mid`, and development `app`: each is based on the one before."""
    with contextlib.ExitStack() as stack:
        made = []
        for name in ("operations", "middleware", "development"):
            repository, home = tmp_path / name, tmp_path / f"{name}-machine"
            repository.mkdir()
            home.mkdir()
            subprocess.run(["git", "init", "--quiet", repository], check=True)
            folders = {key: str(home / key) for key in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "ANSIBLE_HOME")}
            chain = stack.enter_context(make_chain(repository))
            if name in ENGINES:
                folders["DOCKER_HOST"] = ENGINES[name]
                chain.engine = stack.enter_context(contextlib.closing(docker.DockerClient(ENGINES[name])))
            made.append(Team(chain, registry, {**environment, "HOME": str(home), **folders}))
        operations, middleware, development = made
        consumers = [team.repository(tier) for team, tier in ((middleware, "mid"), (development, "app"))]
        operations.chain.tier(
            "core",
            write("core", "core"),
            parent="base",
            image=operations.repository("core"),
            config={"cmd": ["sh"]},
            consumers=consumers,
        ).tests("core", CONTRACT)
        for team, followed, source, own in (
            (middleware, "core", operations, "mid"),
            (development, "mid", middleware, "app"),
        ):
            team.chain.tiers.clear()
            team.chain.tier(followed, follow={"image": source.repository(followed)}, team=followed)
            name = "middleware" if own == "mid" else "development"
            team.chain.tier(own, write(own, own), parent=followed, image=team.repository(own), team=name)
        development.chain.tests("app", OWN_TEST)
        yield made
        for team in made:
            remove_images(engine, f"reference={team.registry}/{team.chain.name}/*")
            remove_images(engine, f"reference={team.chain.name}/*")


def test_consumers_are_asked_before_a_tag_moves(teams, tmp_path):
    operations, middleware, development = teams
    operations.run("build-chain.yml", "-e", "tier_publish=true", "-e", "tier_verdicts=advisory").expect()
    for team in (middleware, development):
        team.run("playbooks/update.yml").expect()
        team.run("build-chain.yml", "-e", "tier_publish=true").expect()
    assert "nothing to try" in development.run("playbooks/try_candidate.yml").expect().output
    stable, released = operations.named("core"), development.chain.image("app").id
    status = tmp_path / "development-machine/XDG_STATE_HOME/tierwright" / development.chain.name / "standing.json"
    before = status.read_text()

    # A candidate that development rejects.
    operations.chain.tier("core", write("core", "core broken"), **settings(operations))
    operations.run("build-chain.yml", "-e", "tier_publish=true", "-e", "tier_candidate=true").expect()
    bad = operations.named("core", "candidate")
    assert (operations.named("core"), bad != stable) == (stable, True)
    tried = middleware.run("playbooks/try_candidate.yml").expect()
    assert f"mid says yes to {operations.repository('core')}@{bad}" in tried.output
    check = development.run("playbooks/try_candidate.yml", "--check").expect()
    assert "mid keep tries" in check.message
    assert development.named("app", f"verdict-{bad[7:39]}") is None
    # `--limit` leaves the followed tier out, and the only tier of the run fails: the verdict is published all the same.
    result = tmp_path / "result.json"
    rejected = development.run("playbooks/try_candidate.yml", "--limit", "app", "-e", f"tier_result_file={result}")
    assert f"app says no to {operations.repository('core')}@{bad}" in rejected.expect(1).output
    assert "not passed upon the candidates: app" in rejected.output
    ran = {test["test"]: test["result"] for tier in json.loads(result.read_text())["tiers"] for test in tier["tests"]}
    assert ran.get(f"{operations.repository('core')}@{bad}:test_it.py::test_operations_are_named") == "passed", ran
    refused = operations.run("playbooks/publish.yml").expect(2)
    assert f"{development.repository('app')} (tier 'app' of team development) says no" in refused.message
    assert "test_it.py::test_core_is_not_broken" in refused.message
    assert "development cannot use this core" in refused.message
    assert "core broken" in refused.message  # the log of its container
    assert operations.named("core") == stable
    assert development.named("app", "candidate") is None
    assert status.read_text() == before
    assert development.chain.image("app").id == released

    # The mended one is promoted.
    operations.chain.tier("core", write("core", "core mended"), **settings(operations))
    operations.run("build-chain.yml", "-e", "tier_publish=true", "-e", "tier_candidate=true").expect()
    middleware.run("playbooks/try_candidate.yml").expect()
    code, output = development.command("try-candidate", "-i", "chain.yml")
    assert (code, "app says yes" in output) == (0, True), output
    promoted = operations.run("playbooks/publish.yml").expect()
    assert promoted.output.count("says yes to core") == 2
    assert operations.named("core") == operations.named("core", "candidate") != stable

    # What was tried is what is released now.
    for team, tier in ((middleware, "mid"), (development, "app")):
        team.run("playbooks/update.yml").expect()
        built = team.run("build-chain.yml", "-e", "tier_publish=true").expect()
        assert f"{tier} keep built before" in built.message
        assert "Apply the role" not in built.output
        assert "to be tested" not in built.output
        assert team.named(tier) == team.named(tier, "candidate")
    assert development.chain.run("app", "cat", "/etc/core") == "core mended\n"


def settings(operations):
    kept = operations.chain.tiers["core"]
    return {name.removeprefix("tier_"): value for name, value in kept.items()}
