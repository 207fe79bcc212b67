"""Processes of Ansible import the library with cached byte code, and without garbage collection."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
from importlib.util import module_from_spec
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.library_loader import LibraryFinder

COLLECTIONS = Path(__file__).parents[2] / "collections"
LIBRARY = "ansible_collections.tierwright.chain.plugins.plugin_utils._core"
#: Imports modules of the library as a plugin does, and prints where their byte code is.
PROGRAM = f"""
import importlib, json, sys
if sys.argv[1] == "ansible":
    from ansible.plugins.loader import init_plugin_loader
    init_plugin_loader([{str(COLLECTIONS)!r}])
names = ["{LIBRARY}.errors", "{LIBRARY}.chain", "{LIBRARY}.chain.graph"]
print(json.dumps([importlib.import_module(name).__spec__.cached for name in names]))
"""


def import_modules(kind: str, cache: Path, **settings: str) -> list[Path]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"PYTHONPATH": str(COLLECTIONS), "PYTHONPYCACHEPREFIX": str(cache), **settings}
    output = subprocess.check_output([sys.executable, "-c", PROGRAM, kind], env=environment, text=True)
    return [Path(path) for path in json.loads(output)]


@pytest.mark.parametrize("kind", ["ansible", "python"])
def test_the_byte_code_of_imported_modules_is_cached(tmp_path, kind):
    paths = import_modules(kind, tmp_path)
    assert [path.name.split(".")[0] for path in paths] == ["errors", "__init__", "graph"]
    assert all(path.is_relative_to(tmp_path) and path.is_file() for path in paths)


def test_nothing_is_written_if_python_must_not_write_byte_code(tmp_path):
    paths = import_modules("ansible", tmp_path, PYTHONDONTWRITEBYTECODE="1")
    assert paths
    assert not any(path.exists() for path in paths)


def test_only_modules_of_the_package_are_found(tmp_path):
    (tmp_path / "number.py").write_text("NUMBER = 1\n")
    (tmp_path / "folder").mkdir()
    finder = LibraryFinder("package")
    spec = finder.find_spec("package.number", [str(tmp_path)])
    assert spec is not None
    assert spec.loader is not None
    assert spec.origin == str(tmp_path / "number.py")
    assert finder.find_spec("package.missing", [str(tmp_path)]) is None
    assert finder.find_spec("other.number", [str(tmp_path)]) is None
    assert finder.find_spec("package", None) is None


def test_garbage_is_collected_again_after_an_import_even_if_it_fails(tmp_path):
    (tmp_path / "good.py").write_text("import gc\nIS_ENABLED = gc.isenabled()\n")
    (tmp_path / "bad.py").write_text("raise RuntimeError\n")
    finder = LibraryFinder("package")
    for name, raises in (("good", contextlib.nullcontext()), ("bad", pytest.raises(RuntimeError))):
        spec = finder.find_spec(f"package.{name}", [str(tmp_path)])
        module = module_from_spec(spec)
        with raises:
            spec.loader.exec_module(module)
        assert gc.isenabled()
        assert getattr(module, "IS_ENABLED", False) is False


def test_an_import_without_garbage_collection_does_not_begin_one(tmp_path):
    (tmp_path / "good.py").write_text("")
    spec = LibraryFinder("package").find_spec("package.good", [str(tmp_path)])
    gc.disable()
    try:
        spec.loader.exec_module(module_from_spec(spec))
        assert not gc.isenabled()
    finally:
        gc.enable()
