# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Package databases: what a distribution's package manager says is installed.

Formats: ``deb-control(5)`` paragraphs of dpkg (``var/lib/dpkg/status``, and one file for each package in
``status.d``, as images without a package manager have), Alpine's ``lib/apk/db/installed``
(https://wiki.alpinelinux.org/wiki/Apk_spec), and RPM's SQLite database (:mod:`.rpm`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import rpm
from .entry import Packages
from .rpm import Package

#: Most bytes of a database that are read.
LARGEST = 512 << 20

#: The package manager of Debian and its kin.
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
    """Say whether a file tells which packages are installed."""
    # Digests of a package's files lie beside it in status.d.
    single = path.startswith(_DPKG_FOLDER) and not path.endswith(".md5sums")
    return single or path == _DPKG or path in _APK or path in _RPM


def manager(path: str) -> str:
    """Name the package manager whose database is at a path: ``dpkg``, ``apk`` or ``rpm``."""
    return "apk" if path in _APK else "rpm" if path in _RPM else DPKG


def is_wanted(path: str) -> bool:
    """Say whether a file's content is needed to read a database."""
    return is_database(path) or path in _RPM_LOGS


def why_not(path: str) -> str | None:
    """Say in a sentence why a file that is a database is not read; ``None`` where it is none."""
    folder, _, name = path.rpartition("/")
    if folder + "/" in _RPM_FOLDERS and name in _RPM_OTHERS:
        return f"packages in /{path} are not read: it is in RPM's {_RPM_OTHERS[name]} format, only SQLite's is known"
    return None


def too_large(path: str) -> str:
    """Say that a database is larger than :data:`LARGEST`."""
    return f"packages in /{path} are not read: it is larger than {LARGEST >> 20} MiB"


def read(path: str, files: Mapping[str, bytes]) -> Packages:
    """Read the database at ``path``.

    Args:
        path: A path that :func:`is_database` says yes to.
        files: Contents of it and of what belongs to it, by path.

    Raises:
        DamagedError: It cannot be read.
    """
    if path in _RPM:
        return _packages(rpm.read(path, files[path], files.get(path + "-wal", b"")))
    text = files[path].decode("utf-8", "surrogateescape")
    return _packages(_apk(text) if path in _APK else _dpkg(text))


def _dpkg(text: str) -> Iterator[Package]:
    for paragraph in text.split("\n\n"):
        fields = _paragraph(paragraph)
        # Files in status.d have no status: they are there, so it is installed.
        installed = fields.get("Status", "install ok installed").split()[-1:] == ["installed"]
        if installed and "Package" in fields:
            yield Package(fields["Package"], fields.get("Version", ""), fields.get("Architecture", ""))


def _apk(text: str) -> Iterator[Package]:
    for paragraph in text.split("\n\n"):
        fields = dict(line.partition(":")[::2] for line in paragraph.splitlines() if line[1:2] == ":")
        if "P" in fields:
            yield Package(fields["P"], fields.get("V", ""), fields.get("A", ""))


def _paragraph(text: str) -> dict[str, str]:
    fields = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and not line[:1].isspace():
            fields[name] = value.strip()
    return fields


def _packages(found: Iterator[Package]) -> Packages:
    versions: dict[str, set[str]] = {}
    for each in found:
        versions.setdefault(f"{each.name}:{each.architecture}", set()).add(each.version)
    return {name: ", ".join(sorted(several)) for name, several in sorted(versions.items())}
