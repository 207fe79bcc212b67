"""The rooms of the library import in one direction only, and only two of them use Ansible."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from pictures import imports

#: They test files of the project, not its behaviour.
pytestmark = pytest.mark.once

PLUGINS = Path(__file__).parents[2] / "plugins"
LIBRARY = PLUGINS / "plugin_utils" / "_core"
ROOMS = [
    "chain",
    "build_key",
    "signing",
    "policy",
    "engine",
    "agent",
    "image",
    "layer",
    "layer_index",
    "transports",
    "sbom",
    "sealing",
    "bases",
    "interpreter",
    "contract",
    "plan",
    "state",
    "packages",
    "custody",
    "compatibility",
    "tier_build",
    "look_inside",
    "release",
    "run",
    "profile",
    "views",
    "handover",
    "publication",
    "deployment",
    "watch",
    "doctor",
    "report",
    "inventory",
    "playbook",
    "pipeline",
    "project",
    "command",
]
#: Rooms that run inside Ansible.
WITH_ANSIBLE = {"inventory", "playbook"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_lower_room_never_imports_a_higher_one(room):
    higher = {f"room {name}" for name in ROOMS[ROOMS.index(room) + 1 :]}
    files = list((LIBRARY / room).rglob("*.py"))
    assert files
    for path in files:
        assert not imports(path) & higher, path


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in WITH_ANSIBLE])
def test_only_two_rooms_import_ansible(room):
    for path in (LIBRARY / room).rglob("*.py"):
        assert not imports(path) & {"ansible", "ansible_collections"}, path


def test_all_rooms_are_listed():
    assert sorted(path.name for path in LIBRARY.iterdir() if path.is_dir() and path.name != "__pycache__") == sorted(
        ROOMS
    )


def test_no_module_of_the_library_is_public():
    public = [path for path in LIBRARY.parent.iterdir() if path.name not in {"_core", "__init__.py", "__pycache__"}]
    assert public == []
    modules = PLUGINS.glob("module_utils/*.py")
    assert all(path.name.startswith("_") for path in modules)  # Ansible's sign for private code


def test_class_names_are_unique():
    names = Counter(
        node.name
        for path in LIBRARY.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert names
    assert [name for name, count in names.items() if count > 1] == []


OUTSIDE = [path for path in PLUGINS.rglob("*.py") if LIBRARY / "engine" not in path.parents]
#: Modules of the room `engine` that other rooms may import. The others are private to it.
PUBLIC_MODULES = {
    *("chunks", "confinement", "container_files", "containers", "docker_config", "engine", "events", "image_catalogue"),
    *("inspection", "services", "streams", "swarm", "system"),
}


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(PLUGINS)))
def test_only_the_engine_room_uses_the_sdk_of_the_engine(path):
    nodes = list(ast.walk(ast.parse(path.read_text())))
    imported = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    assert not [name for name in imported if name.split(".")[0] == "docker"]
    assert not [node.lineno for node in nodes if isinstance(node, ast.Attribute) and node.attr == "api"]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(PLUGINS)))
def test_only_public_modules_of_the_engine_room_are_imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").rpartition(".")[2] == "engine" and node.level:
            assert {name.name for name in node.names} <= {*PUBLIC_MODULES, "Engine", "connect", "lazy_engine"}
        elif isinstance(node, ast.ImportFrom) and ".engine." in f".{node.module}":
            assert node.module.rpartition("engine.")[2] in PUBLIC_MODULES
