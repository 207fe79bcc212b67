"""What is sent into a build container runs on old Pythons, and no task pays for what it does not use."""

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
def test_it_is_written_in_the_oldest_python(path):
    ast.parse(path.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_imports_the_standard_library_and_its_own_package_only(path):
    own = {each.stem for each in FILES}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert {name.name.split(".")[0] for name in node.names} <= sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module.split(".")[0] in sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1
            assert {node.module} <= own if node.module else {name.name for name in node.names} <= own


def modules_after(statement):
    """Top-level names of all that a fresh interpreter has imported after a statement."""
    script = f"{statement}\nimport sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_connection_does_not_import_the_engine_s_client():
    found = modules_after(f"import {LIBRARY}.connection.tier")
    assert "ansible" in found
    assert not found & {"docker", "requests", "urllib3", "paramiko"}


@pytest.mark.parametrize("name", ["agent.keeper", "engine.engine", "transports.docker_daemon"])
def test_the_engine_s_client_is_not_imported_before_it_is_needed(name):
    made = f"from {LIBRARY}.plugin_utils._core.engine.engine import lazy_engine; lazy_engine()"
    found = modules_after(f"import {LIBRARY}.plugin_utils._core.{name}; {made}")
    assert not found & {"docker", "requests", "urllib3", "paramiko"}


@pytest.mark.parametrize("name", ["client", "launch", "package"])
def test_what_a_task_needs_of_the_agent_imports_the_standard_library_only(name):
    found = modules_after(f"import {LIBRARY}.plugin_utils._core.agent.{name}") - modules_after("")
    assert found - {"ansible_collections", "__mp_main__"} <= sys.stdlib_module_names
