"""A project that `tierwright init` writes, and `tierwright new tier` extends, is built green at once."""

from __future__ import annotations

import json
import secrets
import subprocess

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

from .conftest import BIN
from .engines import wait_for
from .removal import remove_images, remove_names

pytestmark = [pytest.mark.once, pytest.mark.sampled("projects")]


@pytest.fixture(scope="module")
def project(tmp_path_factory, environment, registry, demo_base, engine):
    """A project of four tiers. Its base is the one of the demo, in a registry: so nothing is bootstrapped."""
    name, folder = f"twtest-{secrets.token_hex(4)}", tmp_path_factory.mktemp("projects")
    image = f"{registry}/{name}-source"
    assert demo_base.tag(image, "latest")
    engine.images.push(image)
    pinned = next(each for each in engine.images.get(f"{image}:latest").attrs["RepoDigests"] if each.startswith(image))

    def tierwright(*arguments, cwd=folder):
        subprocess.run([BIN / "tierwright", *arguments], cwd=cwd, env=environment, check=True, capture_output=True)

    tiers = ("--tier", "core:base", "--tier", "web:core:middleware", "--registry", f"{registry}/{name}")
    tierwright("init", name, "--from", "image", "--image", pinned, *tiers, "--ci", "gitlab")
    tierwright("new", "tier", "app", "--parent", "web", "--team", "development", cwd=folder / name)
    yield folder / name
    remove_chain(engine, name)
    remove_names(engine, f"{registry}/{name}/")
    remove_names(engine, f"{image}:")


def remove_chain(engine, name):
    remove_images(engine, f"label={labels.CHAIN}={name}")
    for claim in engine.volumes.list(filters={"label": f"{labels.CHAIN}={name}"}):
        claim.remove()


def test_a_new_project_is_built_green(project, playbook, environment, tmp_path):
    result = tmp_path / "result.json"
    playbook("build-chain.yml", "-e", f"tier_result_file={result}", cwd=project).expect()
    tiers = {tier["tier"]: tier for tier in json.loads(result.read_text())["tiers"]}
    assert {name: tier["released"] for name, tier in tiers.items()} == dict.fromkeys(
        ("base", "core", "web", "app"), True
    )
    passed = {name: len(tier["tests"]) for name, tier in tiers.items()}
    assert passed == {"base": 0, "core": 2, "web": 3, "app": 4}  # own tests, and the contracts of all ancestors
    assert {test["result"] for tier in tiers.values() for test in tier["tests"]} == {"passed"}
    again = playbook("build-chain.yml", "--check", "-e", "tier_exit_code=true", cwd=project).expect()
    assert again.output.count("keep   nothing changed") == 4

    # AWX starts a playbook of a project in the same way. The project is mounted at `project`, and is not changed.
    private = tmp_path / "private"
    private.mkdir()
    (private / "project").symlink_to(project)
    options = [
        "--playbook",
        "build-chain.yml",
        "--inventory",
        str(project / "inventory/chain.yml"),
        "--cmdline=--check",
    ]
    ran = subprocess.run(
        [BIN / "ansible-runner", "run", *options, str(private)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("keep   nothing changed") == 4

    tasks = project / "roles/web/tasks/main.yml"
    tasks.write_text(tasks.read_text().replace("Say what this image is", "Say what it is"))
    changed = playbook("build-chain.yml", "--check", "-e", "tier_exit_code=true", cwd=project).expect(16)
    assert "web   build  role web/tasks/main.yml changed" in changed.output
    playbook("build-chain.yml", "--check", cwd=project).expect()


def test_another_team_follows_a_tier_of_the_project(project, playbook, environment, registry, engine):
    """The team that follows has a project of its own, and nothing but the registry of the other one."""
    playbook("build-chain.yml", cwd=project).expect()
    playbook("tierwright.chain.publish", "--limit", "base,core", cwd=project).expect()
    name, image = f"{project.name}-shop", f"{registry}/{project.name}/core"
    shop = project.parent / name

    def run(program, *arguments, cwd=shop):
        command = [BIN / program, *arguments]
        done = subprocess.run(command, cwd=cwd, env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    source = ("--from", "followed", "--image", image, "--base", "core:operations")
    run("tierwright", "init", name, *source, "--tier", "till:core:development", cwd=project.parent)
    try:
        run("tierwright", "update")
        playbook("build-chain.yml", cwd=shop).expect()
        assert engine.images.get(f"{name}/till:latest").labels[labels.PARENT] == engine.images.get(f"{image}:latest").id
        for tier in ("core", "till"):
            assert "CHANGED" in run("ansible", tier, "-m", "ansible.builtin.command", "-a", "cat /etc/debian_version")
        throw_away = {"label": f"{labels.CHAIN}={name}"}
        wait_for(lambda: not engine.containers.list(all=True, filters=throw_away, ignore_removed=True))
    finally:
        remove_chain(engine, name)
        remove_names(engine, f"{name}/")
