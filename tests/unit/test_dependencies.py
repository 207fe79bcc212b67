"""What the library imports is what the distribution and an execution environment require, and nothing more."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DECLARED = PROJECT["project"]["dependencies"]

#: Distributions whose modules have another name.
MODULES = {
    "ansible-core": "ansible",
    "backports.zstd": "backports",
    "pytest-testinfra": "testinfra",
}
#: Modules that a declared distribution requires and whose objects it hands out.
BROUGHT = {"markupsafe": "jinja2", "yaml": "ansible-core"}
#: Declared and not imported, for a reason.
NOT_IMPORTED = {
    "backports.zstd": "layer_index/tar_stream.py names it, and imports it for layers that need it",
    "pytest-timeout": "pytest loads it when the gate gives tests their time",
    "rich": "command/output.py names its modules, and imports them for a table",
}
#: What ansible-builder leaves out of a collection's requirements, or has from elsewhere.
NOT_OF_A_COLLECTION = {"ansible-core", "pytest"}


def name(requirement: str) -> str:
    """Name of the distribution that a requirement asks for."""
    return re.match(r"[\w.-]+", requirement)[0].lower()


def imported() -> set[str]:
    """Top-level modules that plugins import from elsewhere, also inside functions."""
    found = set()
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {each.name.split(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"ansible_collections"}


def test_every_import_is_declared():
    modules = {MODULES.get(name(each), name(each)) for each in DECLARED}
    assert imported() - modules - BROUGHT.keys() == set()
    assert set(BROUGHT.values()) <= {name(each) for each in DECLARED}


def test_every_dependency_is_imported_or_has_a_reason():
    unused = {name(each) for each in DECLARED if MODULES.get(name(each), name(each)) not in imported()}
    assert unused == NOT_IMPORTED.keys()


@pytest.mark.parametrize("table", ["dependencies", "dev"])
def test_every_dependency_says_why(table):
    part = re.search(rf"^{table} = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)[1]
    assert [line for line in part.splitlines() if "  # " not in line] == []


def test_an_execution_environment_requires_the_same():
    files = yaml.safe_load((ROOT / "meta/execution-environment.yml").read_text())["dependencies"]
    assert (ROOT / files["system"]).is_file()
    lines = (ROOT / files["python"]).read_text().splitlines()
    asked = [line for line in lines if line and not line.startswith("#")]
    assert asked == [each for each in DECLARED if name(each) not in NOT_OF_A_COLLECTION]


def test_an_execution_environment_gets_pytest():
    """ansible-builder drops pytest by its name; the others of its kind are kept, and bring it."""
    assert "pytest" in {name(each) for each in metadata.requires("pytest-testinfra")}


def test_the_version_is_written_once():
    """In galaxy.yml: the wheel's is read from there, and so is the command's (``test_command.py``)."""
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "galaxy.yml"
    written = [ROOT / "pyproject.toml", *(ROOT / "plugins/plugin_utils").rglob("*.py")]
    assert [path for path in written if re.search(rf"""["']{re.escape(version)}["']""", path.read_text())] == []
