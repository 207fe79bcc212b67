# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Proves that a layer does not contain the secrets of its build (``tier_secrets``).

Every entry is searched as a whole: content, name, target and attributes. Encoded or encrypted copies are not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ..errors import SealError
from .build_memory import Timeline
from .file_entry import FileEntry, FileKind, fill, printable_path

_CHUNK = 1 << 20

#: Number of paths in a message.
_SHOWN = 3


def check(entries: Iterable[FileEntry], secrets: Mapping[str, str], timeline: Timeline) -> None:
    """Reject a layer that contains a secret.

    Args:
        entries: The entries of the layer.
        secrets: The secrets by name. Of a secret with several lines, the longest line is searched.
        timeline: The tasks of the build.

    Raises:
        SealError: An entry contains a secret. The message names the entry, the name of the secret, and the task.
    """
    if not secrets:
        return
    wanted = {_needle(text): name for name, text in secrets.items()}
    # The longest comes first: a secret may contain another one.
    pattern = re.compile(b"|".join(re.escape(needle) for needle in sorted(wanted, key=len, reverse=True)))
    lines = []
    overlap = max(map(len, wanted))
    for entry in entries:
        match = next(filter(None, map(pattern.search, _texts(entry, overlap))), None)
        if match is not None:
            task = timeline.at(entry)
            path = "an entry" if pattern.search(entry.path) else f"/{printable_path(entry.path)}"
            lines.append(
                f"{path} contains tier_secrets.{wanted[match[0]]}" + (f", made by {task}" if task and task.role else "")
            )
    if lines:
        more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        raise SealError(
            f"{', '.join(lines[:_SHOWN])}{more}: everybody who can pull the image could read it. Let the program read "
            "the secret from its file, and remove what it writes, or list the file in tier_drop"
        )


def _needle(text: str) -> bytes:
    return max(text.strip().encode().splitlines(), key=len).strip()


def _texts(entry: FileEntry, overlap: int) -> Iterator[bytes]:
    """Yield all bytes of an entry, in pieces that overlap."""
    yield from (entry.path, entry.target)
    yield from (part for attribute in entry.attributes for part in attribute)
    if entry.kind is not FileKind.FILE or (entry.digest and not entry.content):
        return
    for start in range(0, entry.size, _CHUNK):
        begin = max(0, start - overlap)
        piece = bytearray(min(entry.size, start + _CHUNK) - begin)
        fill(memoryview(piece), entry, begin)
        yield bytes(piece)
