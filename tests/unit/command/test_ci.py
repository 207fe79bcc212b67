"""`tierwright ci` reads an inventory through Ansible, and asks no engine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A new project with a pipeline, as the current folder."""
    options = ["--registry", "r.example.org/shop", "--ci", "gitlab", "--tier", "core:base", "--tier", "web:core"]
    assert CliRunner().invoke(tierwright, ["init", str(tmp_path / "shop"), *options]).exit_code == 0
    monkeypatch.chdir(tmp_path / "shop")
    return tmp_path / "shop"


def ci(*arguments):
    environment = {**os.environ, "DOCKER_HOST": "unix:///nonexistent", "PATH": f"{BIN}:{os.environ['PATH']}"}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / "collections")
    command = [BIN / "tierwright", "ci", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_it_renders_what_init_wrote_and_replaces_only_pipelines(project):
    path = project / ".gitlab-ci.yml"
    before = path.read_text()
    printed = ci("gitlab")
    assert (printed.returncode, printed.stdout) == (0, before), printed.stderr
    path.chmod(0o640)
    chain = project / "inventory/chain.yml"
    chain.write_text(chain.read_text().replace("tier_parent: core", "tier_parent: base"))
    outdated = ci("gitlab", "--output", ".gitlab-ci.yml", "--check")
    assert (outdated.returncode, path.read_text()) == (1, before), outdated.stderr
    assert outdated.stdout.startswith(".gitlab-ci.yml is out of date; `tierwright ci gitlab --output .gitlab-ci.yml`")
    example = CliRunner().invoke(tierwright, ["ci", "--help"]).output.partition("Example:\n")[2].split("\n")[0].split()
    written = ci(*example[2:])
    assert written.stdout == ".gitlab-ci.yml is written\n", written.stderr
    assert 'TIERS: "base:web"' in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o640
    other = ci("gitlab", "--output", "README.md")
    assert (other.returncode, other.stdout) == (2, "")
    assert "README.md is not a pipeline that `tierwright ci` rendered, so it is not overwritten" in other.stderr


def test_images_that_stay_on_the_engine_are_refused(project):
    chain = project / "inventory/chain.yml"
    chain.write_text(re.sub(r"image_prefix: .*", "image_prefix: shop", chain.read_text(), count=1))
    local = ci("github")
    assert (local.returncode, local.stdout) == (2, "")
    assert "tier 'web': its image 'shop/web' is in no registry, so no other job can take it" in local.stderr
    chain.write_text("tiers: {hosts: {web: {tier_parent: core}}}\n")
    broken = ci("github")
    assert broken.returncode == 2
    assert "tier 'web': the team that owns it is not clear" in broken.stderr


def test_check_needs_a_file():
    result = CliRunner().invoke(tierwright, ["ci", "gitlab", "--check"])
    assert (result.exit_code, "name it with --output" in result.output) == (2, True)
