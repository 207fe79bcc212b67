# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the databases of installed packages of dpkg, apk and rpm.

- dpkg: ``deb-control(5)`` paragraphs in ``var/lib/dpkg/status``. Images without a package manager have one file for
  each package in ``status.d`` instead.
- apk: Alpine's ``lib/apk/db/installed`` (https://wiki.alpinelinux.org/wiki/Apk_spec).
- rpm: the SQLite database, read without the program ``rpm``. It has one row for each package, with the package's
  header (https://rpm-software-management.github.io/rpm/manual/format_header.html) without its magic number: the number
  of entries, the number of data bytes, the entries (tag, type, offset, count), and the data.
"""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from ..deb822 import paragraphs
from ..errors import DamagedError
from .entries import InstalledPackage, Packages

_NAME, _VERSION, _RELEASE, _EPOCH, _VENDOR, _ARCHITECTURE, _SOURCE_RPM = 1000, 1001, 1002, 1003, 1011, 1022, 1044
_STRINGS = frozenset({_NAME, _VERSION, _RELEASE, _VENDOR, _ARCHITECTURE, _SOURCE_RPM})
_INT32, _STRING, _I18N = 4, 6, 9

_HEAD = struct.Struct(">II")
_ENTRY = struct.Struct(">IIII")
_NUMBER = struct.Struct(">I")


def read_rpm(path: str, database: bytes, log: bytes) -> Iterator[InstalledPackage]:
    """Yield the packages of an RPM database.

    Args:
        path: Path of the database in the image, for messages.
        database: Content of ``rpmdb.sqlite``.
        log: Content of the write-ahead log ``rpmdb.sqlite-wal``; empty if there is no such file.

    Raises:
        DamagedError: It is not an RPM database in SQLite, or it is damaged.
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
    """Reject a view in place of the table: reading a view runs SQL from the image.

    Raises:
        ValueError: The database has no table ``Packages``.
    """
    connection.execute("PRAGMA trusted_schema = OFF")
    if connection.execute("SELECT type FROM sqlite_master WHERE name = 'Packages'").fetchall() != [("table",)]:
        raise ValueError("it has no table of packages; expected the table 'Packages'")


def _package(header: bytes) -> InstalledPackage:
    fields = _fields(header)
    version = f"{fields[_VERSION]}-{fields[_RELEASE]}"
    if _EPOCH in fields:
        version = f"{fields[_EPOCH]}:{version}"
    source, source_version = _source_of_rpm(fields.get(_SOURCE_RPM, ""))
    return InstalledPackage(
        fields[_NAME], version, fields.get(_ARCHITECTURE, ""), source, source_version, fields.get(_VENDOR, "")
    )


def _source_of_rpm(file: str) -> tuple[str, str]:
    """Split ``openssl-libs-3.0.7-1.el9.src.rpm``. Neither a version nor a release contains a hyphen."""
    name, *version = file.removesuffix(".rpm").rpartition(".")[0].rsplit("-", 2)
    return (name, "-".join(version)) if len(version) == 2 else ("", "")  # noqa: PLR2004 - version and release


def _fields(header: bytes) -> dict[int, str]:
    count, _size = _HEAD.unpack_from(header)
    start = _HEAD.size + count * _ENTRY.size
    if start > len(header):
        raise ValueError("a header is cut short")
    fields = {}
    for number in range(count):
        tag, kind, offset, _count = _ENTRY.unpack_from(header, _HEAD.size + number * _ENTRY.size)
        if tag in _STRINGS and kind in {_STRING, _I18N}:
            fields[tag] = header[start + offset : header.index(b"\0", start + offset)].decode("utf-8", "replace")
        elif tag == _EPOCH and kind == _INT32:
            fields[tag] = str(*_NUMBER.unpack_from(header, start + offset))
    return fields


#: Limit for the size of a database, in bytes.
LARGEST = 512 << 20

#: The package manager of Debian and its derivatives.
DPKG = "dpkg"

_DPKG = "var/lib/dpkg/status"
_DPKG_FOLDER = "var/lib/dpkg/status.d/"
_APK = frozenset({"lib/apk/db/installed", "usr/lib/apk/db/installed"})
_RPM_FOLDERS = ("var/lib/rpm/", "usr/lib/sysimage/rpm/")
_RPM_FILE = "rpmdb.sqlite"
_RPM = frozenset(folder + _RPM_FILE for folder in _RPM_FOLDERS)
_RPM_LOGS = frozenset(path + "-wal" for path in _RPM)
_RPM_OTHERS = {"Packages": "Berkeley DB", "Packages.db": "NDB"}


def is_database(path: str) -> bool:
    """Return whether a file lists installed packages."""
    # status.d also contains digests of each package's files.
    single = path.startswith(_DPKG_FOLDER) and not path.endswith(".md5sums")
    return single or path == _DPKG or path in _APK or path in _RPM


def manager(path: str) -> str:
    """Return the package manager that the database at this path belongs to: ``dpkg``, ``apk`` or ``rpm``."""
    return "apk" if path in _APK else "rpm" if path in _RPM else DPKG


def is_wanted(path: str) -> bool:
    """Return whether the content of a file is needed to read a database."""
    return is_database(path) or path in _RPM_LOGS


def why_not(path: str) -> str | None:
    """Return a message if the file is a database in an unsupported format; ``None`` for all other files."""
    folder, _, name = path.rpartition("/")
    if folder + "/" in _RPM_FOLDERS and name in _RPM_OTHERS:
        return f"packages in /{path} are not read: it has RPM's {_RPM_OTHERS[name]} format, only SQLite is supported"
    return None


def too_large(path: str) -> str:
    """Return the message for a database that is larger than :data:`LARGEST`."""
    return f"packages in /{path} are not read: the file is larger than {LARGEST >> 20} MiB"


def read(path: str, files: Mapping[str, bytes]) -> tuple[InstalledPackage, ...]:
    """Read the database at ``path``.

    Args:
        path: A path for which :func:`is_database` is true.
        files: Contents of the files for which :func:`is_wanted` is true, by path.

    Raises:
        DamagedError: The database cannot be read.
    """
    if path in _RPM:
        return tuple(read_rpm(path, files[path], files.get(path + "-wal", b"")))
    text = files[path].decode("utf-8", "surrogateescape")
    return tuple(_apk(text) if path in _APK else _dpkg(text))


def _dpkg(text: str) -> Iterator[InstalledPackage]:
    for fields in paragraphs(text):
        # Files in status.d have no status field: each of them describes an installed package.
        installed = fields.get("status", "install ok installed").split()[-1:] == ["installed"]
        if installed and "package" in fields:
            name, version = fields["package"], fields.get("version", "")
            source, source_version = _source_of_deb(fields.get("source", ""))
            yield InstalledPackage(
                name=name,
                version=version,
                architecture=fields.get("architecture", ""),
                source=source or name,
                source_version=source_version or version,
                maintainer=fields.get("maintainer", ""),
            )


def _source_of_deb(field: str) -> tuple[str, str]:
    """Split ``openssl (3.0.11-1)``. Both parts may be missing: then they are those of the package."""
    name, _, version = field.partition("(")
    return name.strip(), version.strip().rstrip(")")


def _apk(text: str) -> Iterator[InstalledPackage]:
    for paragraph in text.split("\n\n"):
        fields = dict(line.partition(":")[::2] for line in paragraph.splitlines() if line[1:2] == ":")
        if "P" in fields:
            name, version = fields["P"], fields.get("V", "")
            # All packages that one source makes have its version.
            yield InstalledPackage(
                name, version, fields.get("A", ""), fields.get("o") or name, version, fields.get("m", "")
            )


def versions(installed: Iterable[InstalledPackage]) -> Packages:
    """Return the versions of packages; several versions of one package are joined by commas."""
    versions_by_name: dict[str, set[str]] = {}
    for package in installed:
        versions_by_name.setdefault(f"{package.name}:{package.architecture}", set()).add(package.version)
    return {name: ", ".join(sorted(versions)) for name, versions in sorted(versions_by_name.items())}
