"""The pipeline for GitLab, executed: each job is a machine that has built nothing, and takes its parent from there."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

from .conftest import BIN
from .removal import remove_images, remove_names

pytestmark = [pytest.mark.once, pytest.mark.sampled("projects")]

#: Stands in front of ansible-playbook. A job that builds begins without images of the chain, and without a state.
MACHINE = """#!/bin/sh
set -eu
if [ "$1" = build-chain.yml ]; then
  XDG_STATE_HOME="$(mktemp -d "{states}/XXXXXX")"
  export XDG_STATE_HOME
  docker image ls --quiet --no-trunc --filter label={label} |
    sort -u | xargs --no-run-if-empty docker rmi --force >/dev/null
fi
exec {program} "$@"
"""


@pytest.fixture(scope="module")
def gitlab_ci_local(tmp_path_factory):
    """The program, with the versions of its lock file."""
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(Path(__file__).parent / "gitlab_ci_local" / name, folder)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return folder / "node_modules/.bin/gitlab-ci-local"


@pytest.fixture
def project(tmp_path, environment, registry, demo_base, engine):
    """A new project in a Git repository, whose images are published in the registry of the tests."""
    name = f"twtest-{secrets.token_hex(4)}"
    source, prefix = f"{registry}/{name}-source", f"{registry}/{name}"
    assert demo_base.tag(source, "latest")
    engine.images.push(source)
    pinned = next(
        each for each in engine.images.get(f"{source}:latest").attrs["RepoDigests"] if each.startswith(source)
    )
    options = ["--registry", prefix, "--ci", "gitlab", "--tier", "core:base", "--tier", "db:core", "--tier", "web:core"]
    init = [BIN / "tierwright", "init", name, "--from", "image", "--image", pinned, *options]
    subprocess.run(init, cwd=tmp_path, env=environment, check=True, capture_output=True)
    folder = tmp_path / name
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        ("remote", "add", "origin", f"https://git.example.org/shop/{name}.git"),
        ("add", "."),
        (*identity, "commit", "--quiet", "--message=begin"),
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    yield folder
    remove_images(engine, f"label={labels.CHAIN}={name}")
    for names in (f"{prefix}/", f"{source}:"):
        remove_names(engine, names)
    for claim in engine.volumes.list(filters={"label": f"{labels.CHAIN}={name}"}):
        claim.remove()


def test_jobs_of_gitlab_hand_the_tiers_to_each_other(
    project, gitlab_ci_local, environment, registry, playbook, tmp_path
):
    machine = tmp_path / "bin/ansible-playbook"
    machine.parent.mkdir()
    (tmp_path / "states").mkdir()
    label = f"{labels.CHAIN}={project.name}"
    machine.write_text(MACHINE.format(states=tmp_path / "states", label=label, program=BIN / "ansible-playbook"))
    machine.chmod(0o755)

    def run():
        """Run the pipeline: one job at a time, because they share the engine, and each in a copy of the project."""
        options = ["--shell-executor-no-image", "--shell-isolation", "--concurrency", "1", "--home", str(tmp_path)]
        secret = ["--variable", "REGISTRY_USER=robot", "--variable", "REGISTRY_PASSWORD=canary-2b1f"]
        process = subprocess.run(
            [gitlab_ci_local, *options, *secret],
            cwd=project,
            env={**environment, "PATH": f"{machine.parent}:{environment['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
        assert process.returncode == 0, process.stdout
        assert "canary-2b1f" not in process.stdout
        return re.sub(r"\x1b\[[0-9;]*m", "", process.stdout)

    def lines(output, job):
        return "\n".join(line for line in output.splitlines() if line.startswith(f"{job} "))

    first = run()
    order = [first.index(f"PASS  {job}") for job in ("tier:base", "tier:core", "tier:db", "tier:web", "release")]
    assert order[0] < order[1] < min(order[2:4]) <= max(order[2:4]) < order[4], first
    for job, built in (("tier:base", "base"), ("tier:core", "core"), ("tier:db", "db"), ("tier:web", "web")):
        text = lines(first, job)
        assert re.search(rf"{built} +build +there is no image", text), text
        assert text.count("keep   built elsewhere, from the shared cache") == {"base": 0, "core": 1}.get(built, 2)
        assert not re.search(rf"{built} .*:latest .*published", text)  # only tags of the cache
    release = lines(first, "release")
    assert release.count("keep   built elsewhere, from the shared cache") == 4
    assert "Apply the role" not in release
    with urlopen(f"http://{registry}/v2/{project.name}/web/tags/list") as response:
        assert "latest" in json.load(response)["tags"]
    assert (project / ".gitlab-ci-local").is_dir()

    second = run()
    assert " build " not in second
    assert second.count("keep   built elsewhere, from the shared cache") == 1 + 2 + 3 + 3 + 4

    # Now this machine has what the last job released. A change would be built, and the exit status says so.
    check = ("build-chain.yml", "--check", "-e", "tier_exit_code=true", "-e", "tier_shared_cache=read")
    playbook(*check, cwd=project).expect(0)
    tasks = project / "roles/web/tasks/main.yml"
    tasks.write_text(tasks.read_text().replace("Say what this image is", "Say what it is"))
    assert "web   build" in playbook(*check, cwd=project).expect(16).output
    refused = playbook("build-chain.yml", "-e", "tier_publish=chache", cwd=project).expect(2)
    assert "tier_publish is 'chache'; expected true, false or cache" in refused.message
