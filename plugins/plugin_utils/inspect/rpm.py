# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""RPM's database in SQLite: one row for each package, and in it the package's header.

The header is that of https://rpm-software-management.github.io/rpm/manual/format_header.html without its magic: the
number of entries and of bytes of data, the entries (tag, type, offset, count), the data. Read with the standard
library, so that no ``rpm`` has to be on the machine.
"""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ..errors import DamagedError

_NAME, _VERSION, _RELEASE, _EPOCH, _ARCHITECTURE = 1000, 1001, 1002, 1003, 1022
_INT32, _STRING, _I18N = 4, 6, 9

_HEAD = struct.Struct(">II")
_ENTRY = struct.Struct(">IIII")
_NUMBER = struct.Struct(">I")


class Package(NamedTuple):
    """An installed package."""

    name: str
    version: str
    architecture: str


def read(path: str, database: bytes, log: bytes) -> Iterator[Package]:
    """Yield the packages of a database.

    Args:
        path: Where it lies in the image, for messages.
        database: ``rpmdb.sqlite``.
        log: ``rpmdb.sqlite-wal``, what was written and not moved into the database yet; empty where there is none.

    Raises:
        DamagedError: It is no such database.
    """
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        file = Path(folder, "rpmdb.sqlite")
        file.write_bytes(database)
        if log:
            Path(folder, "rpmdb.sqlite-wal").write_bytes(log)
        try:
            with closing(sqlite3.connect(file)) as connection:
                _check(connection)
                for (header,) in connection.execute("SELECT blob FROM Packages"):
                    yield _package(bytes(header))
        except (sqlite3.Error, struct.error, ValueError, TypeError, KeyError) as error:
            raise DamagedError(f"packages in /{path} cannot be read: {error}") from error


def _check(connection: sqlite3.Connection) -> None:
    """Refuse what only looks like a table: reading a view runs whatever its author wrote."""
    connection.execute("PRAGMA trusted_schema = OFF")
    if connection.execute("SELECT type FROM sqlite_master WHERE name = 'Packages'").fetchall() != [("table",)]:
        raise ValueError("it has no table of packages")


def _package(header: bytes) -> Package:
    fields = _fields(header)
    version = f"{fields[_VERSION]}-{fields[_RELEASE]}"
    if _EPOCH in fields:
        version = f"{fields[_EPOCH]}:{version}"
    return Package(fields[_NAME], version, fields.get(_ARCHITECTURE, ""))


def _fields(header: bytes) -> dict[int, str]:
    count, _size = _HEAD.unpack_from(header)
    start = _HEAD.size + count * _ENTRY.size
    if start > len(header):
        raise ValueError("a header is cut short")
    fields = {}
    for number in range(count):
        tag, kind, offset, _count = _ENTRY.unpack_from(header, _HEAD.size + number * _ENTRY.size)
        if tag in {_NAME, _VERSION, _RELEASE, _ARCHITECTURE} and kind in {_STRING, _I18N}:
            fields[tag] = header[start + offset : header.index(b"\0", start + offset)].decode("utf-8", "replace")
        elif tag == _EPOCH and kind == _INT32:
            fields[tag] = str(*_NUMBER.unpack_from(header, start + offset))
    return fields
