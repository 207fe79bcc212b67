"""The files of a sandbox are complete, and there is nothing of the controller among them."""

from __future__ import annotations

import ast
import io
import zipfile
from pathlib import Path

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract import sandbox_files

ROOT = Path(sandbox_files.__file__).parents[1]


def names(content):
    assert int.from_bytes(content[:8], "big") == len(content) - 8
    return zipfile.ZipFile(io.BytesIO(content[8:])).namelist()


def test_the_library_in_the_sandbox_imports_nothing_else_of_the_library():
    for name in sandbox_files.LIBRARY:
        path = ROOT / name
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            folder = path.parents[node.level - 1]
            target = folder / (node.module or "").replace(".", "/")
            modules = {(target / alias.name).with_suffix(".py") for alias in node.names}
            modules = {file for file in modules if file.is_file()}
            files = modules or {target.with_suffix(".py"), target / "__init__.py"}
            found = {str(file.relative_to(ROOT)) for file in files if file.is_file()}
            assert found, (name, ast.unparse(node))
            assert found <= set(sandbox_files.LIBRARY), (name, ast.unparse(node))


def test_the_archive_has_pytest_and_this_library():
    content = names(sandbox_files.library())
    for name in ("pytest/__init__.py", "testinfra/host.py", "pytest_timeout.py", "_core/contract/fixtures.py"):
        assert name in content
    assert not [name for name in content if name.startswith(("docker/", "ansible", "requests/"))]
    assert len(sandbox_files.library()) < 4 << 20


def test_the_tests_are_packed_with_their_paths(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x").write_text("x")
    (tmp_path / "test_it.py").write_text("")
    assert sorted(names(sandbox_files.tests(tmp_path))) == ["data/x", "test_it.py"]
