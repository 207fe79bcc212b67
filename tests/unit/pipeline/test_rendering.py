"""Pipelines: valid for their CI systems, in the order of the graph, and careful with the password."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from importlib import resources

import jsonschema
import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.pipeline.jobs import hosts_of, plan_jobs
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.pipeline.rendering import (
    PIPELINE_FILES,
    RENDERED,
    render_pipeline,
)

#: (tier, parent, neighbours)
TIERS = (("base", None), ("core", "base"), ("db.1", "core"), ("web", "core"), ("no", "web", "db.1"))
NEEDS = {name: {parent, *others} - {None} for name, parent, *others in TIERS}
SECRET = 'a"b\\c$d%s é'


@pytest.fixture
def chain(make_tier):
    return Chain(make_tier(name, up, image=f"r.example.org/{name}", neighbours=more) for name, up, *more in TIERS)


@pytest.fixture
def pipeline(chain):
    return lambda system: render_pipeline(system, "shop", plan_jobs(chain), hosts_of(tier.image for tier in chain))


def schema(name: str) -> dict:
    folder = resources.files("check_jsonschema.builtin_schemas.vendor")
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("system", "name"), [("github", "github-workflows"), ("gitlab", "gitlab-ci")])
def test_a_pipeline_is_valid_for_the_published_schema(pipeline, system, name):
    for text in (pipeline(system), render_pipeline(system, "shop", [], [])):
        content = {"on" if key is True else key: value for key, value in yaml.safe_load(text).items()}
        validator = jsonschema.validators.validator_for(schema(name))
        assert list(validator(schema(name)).iter_errors(content)) == []


def test_the_schemas_find_faults(pipeline):
    content = yaml.safe_load(pipeline("gitlab"))
    content["release"]["scrip"] = content["release"].pop("script")
    assert list(jsonschema.Draft7Validator(schema("gitlab-ci")).iter_errors(content))


def test_jobs_of_gitlab_follow_the_graph(pipeline):
    content = yaml.safe_load(pipeline("gitlab"))
    jobs = {name.removeprefix("tier:"): job for name, job in content.items() if name.startswith("tier:")}
    assert {name: {need.removeprefix("tier:") for need in job["needs"]} for name, job in jobs.items()} == NEEDS
    assert jobs["web"]["variables"] == {"TIERS": "base:core:web"}
    assert "needs" not in content["release"]  # the stage after all tiers; `needs` has a limit
    assert content["stages"].index("release") > content["stages"].index("build")


def test_jobs_of_github_follow_the_graph(pipeline):
    jobs = yaml.safe_load(pipeline("github"))["jobs"]
    names = {key: job.get("name") for key, job in jobs.items()}
    needs = {names[key]: {names[need] for need in job.get("needs", [])} for key, job in jobs.items() if names[key]}
    assert needs == NEEDS
    assert set(jobs["release"]["needs"]) == jobs.keys() - {"release"}


def test_tasks_of_tekton_follow_the_graph(pipeline):
    task, whole = yaml.safe_load_all(pipeline("tekton"))
    assert [document["kind"] for document in (task, whole)] == ["Task", "Pipeline"]
    tasks = {each["name"]: each for each in whole["spec"]["tasks"]}
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name) for name in tasks)
    release = tasks.pop("release")
    after = {name: {need.removeprefix("tier-") for need in each.get("runAfter", [])} for name, each in tasks.items()}
    assert after == {
        f"tier-{name.replace('.', '-')}": {need.replace(".", "-") for need in needs} for name, needs in NEEDS.items()
    }
    assert set(release["runAfter"]) == tasks.keys()
    given = {name for each in [*tasks.values(), release] for name in (param["name"] for param in each["params"])}
    assert given <= {param["name"] for param in task["spec"]["params"]}


def test_stages_of_jenkins_follow_the_levels(pipeline):
    text = pipeline("jenkins")
    stages = re.findall(r"stage\('([^']+)'\)", text)
    assert stages == ["Level 1", "base", "Level 2", "core", "Level 3", "db.1", "web", "Level 4", "no", "Release"]
    for other in (text, render_pipeline("jenkins", "shop", [], [])):
        plain = re.sub(r"'''.*?'''|//[^\n]*|'[^'\n]*'", "", other, flags=re.DOTALL)
        assert plain.count("{") == plain.count("}") > 0
        assert "'''" not in plain


def scripts(system: str, text: str) -> list[str]:
    """All shell scripts of a pipeline."""
    if system == "jenkins":
        return re.findall(r"sh '''\n(.*?)'''", text, re.DOTALL)
    if system == "tekton":
        return [step["script"] for step in next(yaml.safe_load_all(text))["spec"]["steps"]]
    content = yaml.safe_load(text)
    if system == "github":
        return [step["run"] for job in content["jobs"].values() for step in job["steps"] if "run" in step]
    jobs = [job for job in content.values() if isinstance(job, dict) and "script" in job]
    return ["\n".join(job.get("before_script", []) + job["script"]) for job in jobs]


@pytest.mark.parametrize("system", PIPELINE_FILES)
def test_a_pipeline_says_that_it_was_rendered_and_its_scripts_are_shell(pipeline, system):
    text = pipeline(system)
    assert f"{RENDERED}{system}`" in text
    assert "tier_publish=true" in text
    found = scripts(system, text)
    assert len(found) > (0 if system == "tekton" else 1)
    for script in found:
        process = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
        assert process.returncode == 0, (process.stderr, script)
        if system == "jenkins":  # which starts scripts with -x, and hides only the password itself
            assert script.split()[:2] == ["set", "+x"]


@pytest.mark.parametrize("password", [SECRET, ""])
@pytest.mark.parametrize("kind", ["tier", "release"])
def test_the_password_reaches_only_the_login_file(pipeline, tmp_path, password, kind):
    """What a job runs sees the file, and no variable with the password. The file ends with the job."""
    job = yaml.safe_load(pipeline("gitlab"))[".tier" if kind == "tier" else "release"]
    fake = tmp_path / "ansible-playbook"
    fake.write_text(
        '#!/bin/sh\nenv > seen.env\necho "$@" > seen.args\ncp "$REGISTRY_AUTH_FILE" seen.json 2>/dev/null\n:\n'
    )
    fake.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "TMPDIR": str(tmp_path), "TIERS": "base:core"}
    if password:
        environment |= {"REGISTRY_USER": "robot", "REGISTRY_PASSWORD": password}
    script = "set -eux\n" + "\n".join(job["script"])
    process = subprocess.run(
        ["bash", "-c", script.replace("set -eux", "set -eu")],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not list(tmp_path.glob("tmp.*"))
    arguments = (tmp_path / "seen.args").read_text()
    if kind == "tier":
        assert ("tier_publish=cache" in arguments) == bool(password)
        assert "--limit base:core" in arguments
    if not password:
        assert not (tmp_path / "seen.json").exists()
        return
    for text in ((tmp_path / "seen.env").read_text(), arguments, process.stdout, process.stderr):
        assert password not in text
    auth = json.loads((tmp_path / "seen.json").read_text())["auths"]["r.example.org"]["auth"]
    assert base64.b64decode(auth).decode() == f"robot:{password}"
