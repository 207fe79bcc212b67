# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which files of a role's tests travel with its image: the contract tests, and what they may import.

All files of the folder travel, except tests that are not contracts: these may need packages that other teams lack. What
travels may import the standard library, pytest, testinfra, and modules of the folder. No other packages are there
where other teams run it.
"""

from __future__ import annotations

import ast
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from ..build_key.file_digests import list_files, read_file
from ..contract.marks import CONTRACT, MARKING_FILE, is_test_file, uses_mark
from ..errors import RunError, describe_error
from ..handover.tests_archive import PackedFile, pack

#: Modules that are there in addition to the standard library.
OFFERED = ("pytest", "testinfra")

_NETWORK = "network"


def travelling_tests(folder: Path) -> dict[str, PackedFile]:
    """Read the files that travel.

    Args:
        folder: The folder of a role's tests.

    Returns:
        The files, by their paths relative to the folder; empty if no test is a contract.

    Raises:
        RunError: A file cannot be read or parsed, leaves the folder through a link, imports a module that other teams
            lack, or there are too many files.
    """
    try:
        files = {path.relative_to(folder).as_posix(): _read(folder, path) for path in list_files(folder)}
        sources = {path: ast.parse(file.content, path) for path, file in sorted(files.items()) if path.endswith(".py")}
        chosen = _choose(files, sources)
        pack(chosen)
    except (OSError, ValueError, SyntaxError) as error:
        raise RunError(
            f"it cannot be published with its contract tests in {folder}: {describe_error(error)}"
        ) from error
    for path in chosen:
        for module in _missing(path, sources.get(path), files):
            raise RunError(
                f"it cannot be published with its contract tests: {folder / path} imports {module}, which "
                f"is not there where other teams run it; expected the standard library, {', '.join(OFFERED)}, or a "
                f"module in {folder}. Move the tests that need it into a file without contract tests, or call "
                f"pytest.importorskip({module!r}) in them"
            )
    return chosen


def tests_with_network(files: Mapping[str, PackedFile]) -> list[str]:
    """List the files whose tests may be marked ``network``. Where other teams run them, these tests are skipped."""
    return [
        path
        for path, file in files.items()
        if path.endswith(".py") and uses_mark(ast.parse(file.content, path), _NETWORK)
    ]


def _read(folder: Path, path: Path) -> PackedFile:
    resolved = path.resolve()
    if not resolved.is_relative_to(folder.resolve()):
        raise ValueError(f"{path} is a link to {resolved}, outside the folder, and only the folder travels")
    if not resolved.is_file():
        raise ValueError(f"{path} is a link to {resolved}; expected a link to a file")
    return PackedFile(read_file(resolved), bool(resolved.stat().st_mode & stat.S_IXUSR))


def _choose(files: Mapping[str, PackedFile], sources: Mapping[str, ast.Module]) -> dict[str, PackedFile]:
    tests = {path for path in files if is_test_file(path)}
    contracts = {path for path in tests if path in sources and uses_mark(sources[path], CONTRACT)}
    if any(uses_mark(sources[path], CONTRACT) for path in sources if PurePosixPath(path).name == MARKING_FILE):
        contracts = tests  # it can mark any test
    if not contracts:
        return {}
    chosen = {path for path in files if path not in tests or path in contracts}
    waiting = list(chosen)
    while waiting:  # a contract may import a test file that has no contract
        path = waiting.pop()
        imported = {name.split(".")[0] for name, _level in _imports(sources.get(path))}
        found = {other for other in tests - chosen if PurePosixPath(other).stem in imported}
        chosen |= found
        waiting += found
    return {path: files[path] for path in sorted(chosen)}


def _missing(path: str, source: ast.Module | None, files: Mapping[str, PackedFile]) -> Iterator[str]:
    """Yield the modules that a file imports, and that will not be there."""
    own = {part for file in files for part in (*PurePosixPath(file).parts[:-1], PurePosixPath(file).stem)}
    there = {*sys.stdlib_module_names, *OFFERED, *own}
    for name, level in _imports(source):
        if level > len(PurePosixPath(path).parts):
            yield "." * level + name
        elif not level and name.split(".")[0] not in there:
            yield name.split(".")[0]


def _imports(source: ast.Module | None) -> Iterator[tuple[str, int]]:
    """Yield the names of imported modules, each with its number of dots."""
    for node in ast.walk(source) if source else ():
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level
            if node.level and not node.module:
                yield from ((alias.name, node.level) for alias in node.names)
