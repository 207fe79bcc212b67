"""Value objects of the library are structs of msgspec, because a dataclass takes long to make at each start."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.sandbox_files import LIBRARY as SANDBOX

#: They test files of the project, not its behaviour.
pytestmark = pytest.mark.once

LIBRARY = Path(__file__).parents[2] / "plugins" / "plugin_utils" / "_core"
#: Fields that a struct cannot leave out of its text or of a comparison, and containers that change.
ALLOWED = {
    "ArchiveContent",
    "Broker",
    "ChainState",
    "FileEntry",
    "ImageSpec",
    "Output",
    "RegistryAccess",
    "RoleUse",
    "SecretValues",
}


def dataclasses_of(path):
    """The names of the classes of a file that ``dataclass`` decorates."""
    for node in ast.walk(ast.parse(path.read_text())):
        decorators = node.decorator_list if isinstance(node, ast.ClassDef) else []
        if any("dataclass" in ast.unparse(decorator) for decorator in decorators):
            yield node.name


def runs_in_containers(path):
    """Whether a file runs where msgspec is not installed, or is used by the code that starts the agent."""
    name = path.relative_to(LIBRARY).as_posix()
    return "/inside/" in name or name in SANDBOX or name == "agent/client.py"


def test_only_listed_classes_are_dataclasses():
    files = [path for path in LIBRARY.rglob("*.py") if not runs_in_containers(path)]
    assert len(files) > 100
    assert {name for path in files for name in dataclasses_of(path)} == ALLOWED


def test_secrets_are_not_in_the_text_of_an_object():
    """The reason for some of the exceptions: a struct shows all its fields."""
    hidden = {
        name
        for path in LIBRARY.rglob("*.py")
        for name in dataclasses_of(path)
        if name in ALLOWED and "repr=False" in path.read_text()
    }
    assert hidden == {"ImageSpec", "RegistryAccess", "RoleUse", "SecretValues"}
