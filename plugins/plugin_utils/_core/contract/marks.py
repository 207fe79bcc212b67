# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds tests with a mark of pytest in the text of their files. No test is imported."""

from __future__ import annotations

import ast
import fnmatch
from pathlib import Path, PurePosixPath

from ..build_key.file_digests import list_files, read_file
from .role_tests import TEST_FILES

#: The mark of a test that all descendants of a tier must pass.
CONTRACT = "contract"
#: A file that can mark any test.
MARKING_FILE = "conftest.py"


def is_test_file(path: str) -> bool:
    """Tell from its path whether a file has tests."""
    name = PurePosixPath(path).name
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in TEST_FILES)


def uses_mark(source: ast.Module, mark: str) -> bool:
    """Tell whether a module uses a mark: ``pytest.mark.contract``, or its name as a text."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr == mark)
        or (isinstance(node, ast.Constant) and node.value == mark)
        for node in ast.walk(source)
    )


def may_have_contracts(folder: Path) -> bool:
    """Tell whether tests in a folder may be contracts. If a file cannot be read or parsed, they may be.

    Args:
        folder: The folder of a role's tests.
    """
    try:
        paths = [path for path in list_files(folder) if path.name == MARKING_FILE or is_test_file(path.name)]
        return any(uses_mark(ast.parse(read_file(path), str(path)), CONTRACT) for path in paths)
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return True
