# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests of the machine that runs them: the role was applied to it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import docker
import pytest
import yaml


@pytest.fixture(scope="module")
def defaults() -> dict[str, object]:
    """The defaults of the role."""
    settings: dict[str, object] = yaml.safe_load((Path(__file__).parents[1] / "defaults/main.yml").read_text())
    return settings


def test_an_engine_answers():
    client = docker.from_env()
    try:
        assert client.ping()
    finally:
        client.close()


def test_tools_that_make_bases_are_installed(host, defaults):
    assert [tool for tool in defaults["engine_tools"] if not host.exists(tool)] == []


def test_role_does_not_replace_an_engine_that_docker_host_names(tmp_path):
    result = subprocess.run(
        ["ansible", "localhost", "-m", "ansible.builtin.include_role", "-a", "name=tierwright.chain.engine", "--check"],
        env={**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode != 0
    assert "DOCKER_HOST is set, so no engine is installed on this machine" in result.stdout
