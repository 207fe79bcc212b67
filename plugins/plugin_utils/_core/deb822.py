# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Debian's control files: paragraphs of fields (``deb822(5)``), and the checksums in an archive's ``InRelease``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec


class IndexChecksum(msgspec.Struct, frozen=True):
    """One line of checksums in ``InRelease``."""

    #: Hexadecimal digits.
    digest: str
    #: Bytes of the index file.
    size: int
    #: Path of the index file below the folder of ``InRelease``.
    path: str


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """Parse paragraphs of fields (``deb822(5)``).

    Field names become lower case. The lines of a multi-line value are joined with newlines.
    """
    fields: dict[str, str] = {}
    name = ""
    for line in (*text.splitlines(), ""):
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0].isspace():
            if name:
                fields[name] += f"\n{line.strip()}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()


def checksums(release: Mapping[str, str], algorithm: str) -> Iterator[IndexChecksum]:
    """Read the checksums of index files (https://wiki.debian.org/DebianRepository/Format). Damaged lines are ignored.

    Args:
        release: The fields of ``InRelease``.
        algorithm: ``sha256`` or ``sha512``.
    """
    for line in release.get(algorithm, "").splitlines():
        match line.split():
            case [digest, size, path] if size.isdecimal():
                yield IndexChecksum(digest, int(size), path)
