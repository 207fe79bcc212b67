# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Root file system archives from elsewhere, opened as if hostile."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from ..errors import SourceError, described
from .archive import digest_file
from .history import EARLIEST

_CHUNK = 1 << 20

#: Most bytes that an archive may unpack to; a compressed one can promise any number.
LARGEST = 64 << 30

#: The end of what an image's fields for times hold everywhere: the year 2106.
_LATEST = 2**32

_OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


def check_checksum(tier: str, archive: Path, checksum: str) -> None:
    """Compare an archive with the checksum that the inventory gives.

    Raises:
        SourceError: The archive cannot be read, or is another one.
    """
    try:
        found = digest_file(archive)
    except OSError as error:
        raise SourceError(
            f"tier {tier!r}: tier_import.archive {archive} cannot be read ({error.strerror}); "
            "relative paths start at the inventory's folder"
        ) from error
    if found != checksum:
        raise SourceError(
            f"tier {tier!r}: tier_import.checksum does not match: {archive} has {found}, expected {checksum}; "
            "get the right archive, or correct the checksum if the archive is the one you trust"
        )


def unpack(tier: str, archive: Path, target: Path) -> None:
    """Write the plain tar inside ``archive`` to ``target`` after looking at every entry.

    Raises:
        SourceError: It is no tar archive, it is too large, or an entry tries to leave the root file system.
    """
    with archive.open("rb") as file:
        start = file.read(6)
    opener = next((open_ for magic, open_ in _OPENERS.items() if start.startswith(magic)), None)
    try:
        with opener(archive) if opener else archive.open("rb") as source, target.open("wb") as plain:
            _copy(tier, source, plain)
        with tarfile.open(target, "r:") as tar:
            for entry in tar:
                _check(tier, archive, entry)
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk, not what is in the archive
            raise SourceError(
                f"tier {tier!r}: tier_import.archive {archive} cannot be unpacked: {described(error)}"
            ) from error
        raise SourceError(
            f"tier {tier!r}: tier_import.archive {archive} is no tar archive, plain or packed with gzip, bzip2 or xz "
            f"({error})"
        ) from error


def latest(rootfs: Path) -> int:
    """Time of the youngest file in a plain tar, in seconds since 1970, within what an image's fields hold."""
    with tarfile.open(rootfs, "r:") as tar:
        return max((int(entry.mtime) for entry in tar if EARLIEST <= entry.mtime < _LATEST), default=EARLIEST)


def _copy(tier: str, source: BinaryIO, plain: BinaryIO) -> None:
    written = 0
    while piece := source.read(_CHUNK):
        written += plain.write(piece)
        if written > LARGEST:
            raise SourceError(f"tier {tier!r}: tier_import.archive unpacks to more than {LARGEST >> 30} GiB")


def _check(tier: str, archive: Path, entry: tarfile.TarInfo) -> None:
    names = [entry.name, entry.linkname] if entry.islnk() else [entry.name]
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            raise SourceError(
                f"tier {tier!r}: tier_import.archive {archive} has an entry {name!r} that leaves the root file system; "
                "do not use this archive"
            )
        if path.name.startswith(".wh."):
            raise SourceError(
                f"tier {tier!r}: tier_import.archive {archive} has a whiteout {name!r}; it is an image's layer, "
                "not a root file system: import that image with tier_pull"
            )
