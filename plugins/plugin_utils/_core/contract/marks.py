# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the marks of tests in their source, without importing it."""

from __future__ import annotations

import ast
from pathlib import Path

from ..build_key.file_digests import list_files, read_file

CONTRACT, NETWORK = "contract", "network"


def uses_mark(source: ast.Module, mark: str) -> bool:
    """Tell whether a module uses a mark: ``pytest.mark.contract``, or its name as a text."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr == mark)
        or (isinstance(node, ast.Constant) and node.value == mark)
        for node in ast.walk(source)
    )


def has_contracts(folder: Path) -> bool:
    """Tell whether a test in a folder may be a contract. A file that cannot be read or parsed may have one."""
    for path in list_files(folder):
        if path.suffix == ".py":
            try:
                if uses_mark(ast.parse(read_file(path), str(path)), CONTRACT):
                    return True
            except (OSError, ValueError, SyntaxError):
                return True
    return False
