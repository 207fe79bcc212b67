"""Code for build containers runs on old Pythons, and tasks import only modules that they use."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

INSIDE = Path(__file__).parents[3] / "plugins/plugin_utils/_core/agent/inside"
FILES = sorted(INSIDE.glob("*.py"))
LIBRARY = "ansible_collections.tierwright.chain.plugins"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_code_for_containers_is_valid_in_the_oldest_python(path):
    ast.parse(path.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_code_for_containers_imports_only_the_standard_library_and_itself(path):
    own = {file.stem for file in FILES}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert {name.name.split(".")[0] for name in node.names} <= sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module.split(".")[0] in sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1
            assert {node.module} <= own if node.module else {name.name for name in node.names} <= own


def modules_after(statement):
    """The top-level names of all modules that a new interpreter has imported after a statement."""
    script = f"{statement}\nimport sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(process.stdout.split())


def test_the_connection_does_not_import_the_docker_client():
    modules = modules_after(f"import {LIBRARY}.connection.tier")
    assert "ansible" in modules
    assert not modules & {"docker", "requests", "urllib3", "paramiko"}


@pytest.mark.parametrize("name", ["agent.keeper", "engine.engine", "transports.docker_daemon"])
def test_the_docker_client_is_not_imported_before_it_is_needed(name):
    make_engine = f"from {LIBRARY}.plugin_utils._core.engine.engine import lazy_engine; lazy_engine()"
    modules = modules_after(f"import {LIBRARY}.plugin_utils._core.{name}; {make_engine}")
    assert not modules & {"docker", "requests", "urllib3", "paramiko"}


@pytest.mark.parametrize("name", ["client", "launch", "package"])
def test_modules_that_tasks_use_import_only_the_standard_library(name):
    modules = modules_after(f"import {LIBRARY}.plugin_utils._core.agent.{name}") - modules_after("")
    assert modules - {"ansible_collections", "__mp_main__"} <= sys.stdlib_module_names
