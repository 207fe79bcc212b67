# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A cache of the agent's archive in the user's cache folder: one archive for each Python environment.

An archive is used only if its sources, and their byte code, have the same times and sizes as when it was made.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from .. import local_files

#: How many archives are kept. The others are removed; each has about a megabyte.
_KEPT = 8

_DIGEST_BYTES = 32


def cached(sources: Mapping[str, Path], make: Callable[[Mapping[str, Path]], bytes]) -> bytes:
    """Return the archive of some files.

    Args:
        sources: Name in the archive to file. All must exist.
        make: Makes the archive. Its result depends only on the names, the files, and their cached byte code.

    Returns:
        What ``make`` returned, now or earlier. It is called again if the cache is damaged, or cannot be used.
    """
    state = _state(sources)
    path = local_files.cache() / "agent" / hashlib.sha256(f"{sys.prefix} {sys.version}".encode()).hexdigest()[:16]
    with contextlib.suppress(OSError):
        kept = path.read_bytes()
        content = kept[_DIGEST_BYTES:]
        if kept[:_DIGEST_BYTES] == _seal(state, content):
            return content
    content = make(sources)
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        local_files.write_atomically(path, _seal(state, content) + content)
        local_files.keep_newest(path.parent, _KEPT)
    return content


def _state(sources: Mapping[str, Path]) -> bytes:
    """Digest of the names, times and sizes of files and of their byte code."""
    digest = hashlib.sha256()
    for name, path in sources.items():
        code = Path(importlib.util.cache_from_source(path))
        digest.update(f"{name} {path} {_about(path)} {_about(code)}\n".encode())
    return digest.digest()


def _about(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _seal(state: bytes, content: bytes) -> bytes:
    return hashlib.sha256(state + content).digest()
