# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files that a sandbox gets: pytest, testinfra, the fixtures, and the tests."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from ..agent.package import byte_code

#: Packages and modules without compiled parts, and without which pytest cannot run.
_PACKAGES = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments", "testinfra", "pytest_timeout")
#: Parts of these packages that pytest does not need.
_LEFT_OUT = ("pygments/lexers/", "pygments/formatters/", "pygments/styles/", "packaging/licenses/")
_NEEDED = (
    *("pygments/lexers/__init__.py", "pygments/lexers/_mapping.py", "pygments/lexers/diff.py"),
    *("pygments/lexers/python.py", "pygments/lexers/_builtins.py", "pygments/formatters/__init__.py"),
    *("pygments/formatters/_mapping.py", "pygments/formatters/terminal.py", "pygments/styles/__init__.py"),
    "pygments/styles/_mapping.py",
)

#: Distributions that pytest asks for their versions.
_DISTRIBUTIONS = ("pytest", "pluggy", "pytest-timeout", "pytest-testinfra")

#: Files of this library that the sandbox needs. They import nothing else of it.
LIBRARY = (
    *("__init__.py", "library_loader.py", "errors.py", "text.py", "parent_process.py"),
    *("agent/__init__.py", "agent/inside/__init__.py", "agent/inside/frames.py"),
    *("contract/__init__.py", "contract/container_access.py", "contract/container_operations.py"),
    *("contract/fixtures.py", "contract/pytest_plugin.py", "contract/session_result.py"),
    *("contract/started_container.py", "contract/inside/__init__.py", "contract/inside/main.py"),
    *("contract/inside/messages.py", "contract/inside/remote_containers.py"),
)

_ROOT = Path(__file__).parents[1]

#: Program that reads the archive with its length before it, and runs the tests. It keeps standard input for itself.
PROGRAM = (
    "import os, sys\n"
    "if sys.version_info < (3, 11): sys.exit('the Python of its base is older than 3.11')\n"
    "stdin = open(os.dup(0), 'rb')\n"
    "size = int.from_bytes(stdin.read(8), 'big')\n"
    "open('/tmp/library.zip', 'wb').write(stdin.read(size))\n"
    "sys.path.insert(0, '/tmp/library.zip')\n"
    f"from {_ROOT.name}.contract.inside.main import main\n"
    "main(stdin, sys.argv[1:])\n"
)


@cache
def library() -> bytes:
    """Return the first input of :data:`PROGRAM`: the archive of all packages, with its length before it."""
    files = {**dict(_package_files()), **{f"{_ROOT.name}/{name}": _ROOT / name for name in LIBRARY}}
    return _with_length(files, dict(_versions()))


def tests(folder: Path) -> bytes:
    """Return the second input: the archive of the tests, with its length before it.

    Raises:
        OSError: A file cannot be read.
    """
    return _with_length({path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()})


def _with_length(files: Mapping[str, Path], texts: Mapping[str, str] = MappingProxyType({})) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as target:
        for name, path in sorted(files.items()):
            target.write(path, name)
            code = byte_code(path, name) if name.endswith(".py") else b""
            if code:
                target.writestr(f"{name}c", code)
        for name, text in sorted(texts.items()):
            target.writestr(name, text)
    content = archive.getvalue()
    return len(content).to_bytes(8, "big") + content


def _package_files() -> Iterator[tuple[str, Path]]:
    for package in _PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue  # pytest does not need it in this version, or says so itself
        origin = Path(spec.origin)
        if not spec.submodule_search_locations:
            yield origin.name, origin
            continue
        for path in origin.parent.rglob("*.py"):
            name = f"{package}/{path.relative_to(origin.parent).as_posix()}"
            if not name.startswith(_LEFT_OUT) or name in _NEEDED:
                yield name, path


def _versions() -> Iterator[tuple[str, str]]:
    for name in _DISTRIBUTIONS:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        folder = f"{name.replace('-', '_')}-{version}.dist-info"
        yield f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
