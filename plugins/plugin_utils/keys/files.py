# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests of a folder's files, the same on every machine that holds the same files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from .parts import digest_bytes

#: What tools leave in a role's folder, and what tests of a role hold: neither reaches the tier.
_PASSED_OVER = frozenset({".git", "__pycache__", ".pytest_cache", "molecule", "tests"})


def digest_folder(folder: Path) -> dict[str, str]:
    """Digest every file below ``folder`` that can reach a tier.

    Of a file's mode only "may be executed" counts: the rest follows the umask of whoever made the checkout.

    Returns:
        Path relative to ``folder`` (with ``/``) to a digest over mode and bytes; a symbolic link counts by its target.

    Raises:
        OSError: A file cannot be read.
    """
    return {
        path.relative_to(folder).as_posix(): digest_bytes(_content(path))
        for path in sorted(_files(folder), key=lambda path: path.relative_to(folder).as_posix())
    }


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        linked = [name for name in folders if Path(parent, name).is_symlink()]
        folders[:] = [name for name in folders if name not in _PASSED_OVER and name not in linked]
        yield from (Path(parent, name) for name in [*files, *linked] if not name.endswith(".pyc"))


def _content(path: Path) -> bytes:
    if path.is_symlink():
        return b"link\0" + os.fsencode(path.readlink())
    kind = b"program\0" if path.stat().st_mode & stat.S_IXUSR else b"file\0"
    return kind + path.read_bytes()
