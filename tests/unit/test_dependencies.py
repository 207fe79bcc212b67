"""The distribution and an execution environment require exactly the packages that the library imports."""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

#: They test files of the project, not its behaviour.
pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DECLARED = PROJECT["project"]["dependencies"]

#: Distributions whose modules have a different name.
MODULES = {
    "ansible-core": "ansible",
    "backports.zstd": "backports",
    "pytest-testinfra": "testinfra",
}
#: Modules that a declared distribution requires, and whose objects its API returns.
TRANSITIVE = {"markupsafe": "jinja2", "yaml": "ansible-core"}
#: Distributions that are declared and not imported, each with the reason.
NOT_IMPORTED = {
    "backports.zstd": "layer_index/tar_stream.py names it, and imports it for layers that need it",
    "pytest-timeout": "pytest loads it when the gate gives tests their time",
    "rich": "command/output.py names its modules, and imports them for a table",
}
#: Distributions that ansible-builder excludes from the requirements of a collection, or gets from a different source.
NOT_OF_COLLECTION = {"ansible-core", "pytest"}


def name(requirement: str) -> str:
    """Name of the distribution in a requirement."""
    return re.match(r"[\w.-]+", requirement)[0].lower()


@functools.cache
def imported() -> set[str]:
    """Top-level modules of other distributions that plugins import, including imports inside functions."""
    modules = set()
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules.add(node.module.split(".")[0])
    return modules - sys.stdlib_module_names - {"ansible_collections"}


def test_every_import_is_declared():
    modules = {MODULES.get(name(requirement), name(requirement)) for requirement in DECLARED}
    assert imported() - modules - TRANSITIVE.keys() == set()
    assert set(TRANSITIVE.values()) <= {name(requirement) for requirement in DECLARED}


def test_every_dependency_is_imported_or_has_a_reason():
    unused = {
        name(requirement)
        for requirement in DECLARED
        if MODULES.get(name(requirement), name(requirement)) not in imported()
    }
    assert unused == NOT_IMPORTED.keys()


@pytest.mark.parametrize("table", ["dependencies", "dev"])
def test_every_dependency_has_a_comment(table):
    part = re.search(rf"^{table} = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)[1]
    assert [line for line in part.splitlines() if "  # " not in line] == []


def test_an_execution_environment_requires_the_same_distributions():
    files = yaml.safe_load((ROOT / "meta/execution-environment.yml").read_text())["dependencies"]
    assert (ROOT / files["system"]).is_file()
    lines = (ROOT / files["python"]).read_text().splitlines()
    required = [line for line in lines if line and not line.startswith("#")]
    assert required == [requirement for requirement in DECLARED if name(requirement) not in NOT_OF_COLLECTION]


def test_an_execution_environment_gets_pytest():
    """ansible-builder drops pytest from the requirements, but keeps pytest-testinfra, which requires it."""
    assert "pytest" in {name(requirement) for requirement in metadata.requires("pytest-testinfra")}


def test_the_version_is_defined_once():
    """It is defined in galaxy.yml. The wheel and the command (``test_command.py``) read it from there."""
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "galaxy.yml"
    files = [ROOT / "pyproject.toml", *(ROOT / "plugins/plugin_utils").rglob("*.py")]
    assert [path for path in files if re.search(rf"""["']{re.escape(version)}["']""", path.read_text())] == []
