# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a build changed, out of an overlay's directories.

The upper directory holds everything that was written, whole; what it says of deletions is in device nodes and extended
attributes (https://docs.kernel.org/filesystems/overlayfs.html). An *opaque* directory hides all that the lower ones
have at its place. The kernel marks every new directory so, whether there is something to hide or not; in a layer, that
mark would hide what another parent has there. So it becomes what it means on this parent.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .file_entry import KEPT_ATTRIBUTES, FileEntry, FileKind, PathChange, Slice

#: What the kernel's own attributes begin with, and what they do in a mount with the option ``userxattr``. In either,
#: the other ones are somebody's attributes, which hide nothing.
TRUSTED, USER = b"trusted.overlay.", b"user.overlay."
_OPAQUE = b"opaque"

#: What the names of attributes begin with that anybody may set (``xattr(7)``).
_OF_USERS = b"user."

#: Marks that change nothing of what is seen; with any other, a directory cannot be read without the kernel's help:
#: ``redirect`` and ``metacopy`` leave content elsewhere.
_HARMLESS = frozenset({b"origin", b"impure", b"nlink", b"upper", b"uuid", _OPAQUE})

#: CAP_DAC_READ_SEARCH and CAP_SYS_ADMIN, as ``/proc/self/status`` shows them.
_NEEDED = 1 << 2 | 1 << 21

#: What ``uid_map`` says where users have the same numbers as on the machine.
ALL_NUMBERS = ["0", "0", str(2**32 - 1)]

_KINDS = {
    stat.S_IFREG: FileKind.FILE,
    stat.S_IFLNK: FileKind.SYMLINK,
    stat.S_IFCHR: FileKind.CHARACTER,
    stat.S_IFBLK: FileKind.BLOCK,
    stat.S_IFDIR: FileKind.DIRECTORY,
    stat.S_IFIFO: FileKind.FIFO,
    stat.S_IFSOCK: FileKind.SOCKET,
}


class NotReadableError(Exception):
    """Reading the directories would give something else than the container sees."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """The directories of one overlay."""

    upper: bytes
    #: The lower ones, the topmost first.
    lowers: tuple[bytes, ...]
    #: :data:`TRUSTED` or :data:`USER`.
    marks: bytes = TRUSTED


class Lower:
    """What the lower directories of an overlay show, as an :class:`.file_entry.Origin`."""

    def __init__(self, overlay: Overlay) -> None:
        """Take the overlay."""
        self._overlay = overlay

    def look(self, path: bytes) -> FileEntry | None:
        """Give what is at ``path``; ``None`` where nothing is.

        Raises:
            NotReadableError: The directories cannot be read.
        """
        return self._at(path).entry

    def listed(self, folder: bytes) -> Iterable[FileEntry]:
        """Give what is directly in ``folder``.

        Raises:
            NotReadableError: The directories cannot be read.
        """
        folders = self._at(folder).folders if folder else self._overlay.lowers
        prefix = folder + b"/" if folder else b""
        try:
            names = {found.name for each in folders for found in _listed(each)}
            found = (_below(folders, name, prefix + name, self._overlay.marks).entry for name in names)
            return [entry for entry in found if entry is not None]
        except OSError as error:
            raise NotReadableError(str(error)) from error

    def _at(self, path: bytes) -> _Below:
        found, done = _Below(None, self._overlay.lowers), b""
        for name in path.split(b"/"):
            done = b"/".join(filter(None, (done, name)))
            try:
                found = _below(found.folders, name, done, self._overlay.marks)
            except OSError as error:
                raise NotReadableError(str(error)) from error
        return found


@dataclass(frozen=True, slots=True)
class _Below:
    """What the lower directories show at a path."""

    entry: FileEntry | None = None
    #: Where it is a directory: those that it is merged from, the topmost first.
    folders: tuple[bytes, ...] = ()


_NOTHING = _Below()


def changes(overlay: Overlay) -> Iterator[PathChange]:
    """Yield every path that the upper directory writes or hides, a directory before what is in it.

    Raises:
        NotReadableError: There is a mark that only the kernel can follow, or the directories cannot be read.
    """
    waiting, marks = [(overlay.upper, b"", overlay.lowers, False)], overlay.marks
    try:
        while waiting:
            folder, prefix, lowers, hides = waiting.pop()
            names = set()
            for found in _listed(folder):
                name = found.name
                names.add(name)
                path = prefix + name
                below = _below(lowers, name, path, marks)
                now, opaque = _entry(folder + b"/" + name, path, found.stat(follow_symlinks=False), marks)
                if now is not None or below.entry is not None:
                    yield PathChange(now, below.entry)
                if now is not None and now.kind is FileKind.DIRECTORY:
                    waiting.append((folder + b"/" + name, path + b"/", below.folders, hides or opaque))
            if hides:
                yield from _hidden(lowers, prefix, names, marks)
    except OSError as error:
        raise NotReadableError(str(error)) from error


def _listed(folder: bytes) -> list[os.DirEntry[bytes]]:
    with os.scandir(folder) as listed:
        return list(listed)


def _hidden(lowers: Sequence[bytes], prefix: bytes, names: set[bytes], marks: bytes) -> Iterator[PathChange]:
    for name in {found.name for folder in lowers for found in _listed(folder)} - names:
        below = _below(lowers, name, prefix + name, marks)
        if below.entry is not None:
            yield PathChange(None, below.entry)


def _below(lowers: Sequence[bytes], name: bytes, path: bytes, marks: bytes) -> _Below:
    if not lowers:
        return _NOTHING
    seen: FileEntry | None = None
    folders: list[bytes] = []
    for lower in lowers:
        place = lower + b"/" + name
        try:
            status = os.lstat(place)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                raise
            continue
        if not stat.S_ISDIR(status.st_mode) and folders:
            break
        entry, opaque = _entry(place, path, status, marks)
        if seen is None:
            seen = entry
        if not stat.S_ISDIR(status.st_mode):
            break
        folders.append(place)
        if opaque:
            break
    return _Below(seen, tuple(folders))


def _entry(place: bytes, path: bytes, status: os.stat_result, marks: bytes) -> tuple[FileEntry | None, bool]:
    """Read one path of one directory: its entry, ``None`` for a whiteout, and whether it is opaque."""
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None or (kind is FileKind.CHARACTER and status.st_rdev == 0):
        return None, False
    attributes, foreign, opaque = _attributes(place, marks)
    is_file = kind is FileKind.FILE
    return (
        FileEntry(
            path,
            kind,
            stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            mtime=int(status[stat.ST_MTIME]),
            size=status.st_size if is_file else 0,
            target=os.readlink(place) if kind is FileKind.SYMLINK else b"",  # noqa: PTH115 - it is bytes
            device=_device(status) if kind is FileKind.CHARACTER or kind is FileKind.BLOCK else (0, 0),
            attributes=attributes,
            content=Slice(place) if is_file else b"",
            inode=(status.st_dev, status.st_ino) if status.st_nlink > 1 and kind is not FileKind.DIRECTORY else None,
            foreign=foreign,
            changed=status.st_ctime_ns,
        ),
        opaque,
    )


def _device(status: os.stat_result) -> tuple[int, int]:
    return os.major(status.st_rdev), os.minor(status.st_rdev)


def _attributes(place: bytes, marks: bytes) -> tuple[tuple[tuple[bytes, bytes], ...], tuple[bytes, ...], bool]:
    """Read the attributes that a layer has, the names of those that users set, and whether the place is opaque."""
    names = os.listxattr(place, follow_symlinks=False)
    if not names:  # as most
        return (), (), False
    kept, foreign, opaque = [], [], False
    for listed in names:
        name = os.fsencode(listed)
        mark = name.removeprefix(marks) if name.startswith(marks) else None
        if name in KEPT_ATTRIBUTES:
            kept.append((name, os.getxattr(place, listed, follow_symlinks=False)))
        elif mark == _OPAQUE:
            if os.getxattr(place, listed, follow_symlinks=False) != b"y":
                raise NotReadableError(f"{os.fsdecode(place)} hides files by extended attributes")
            opaque = True
        elif mark is not None and mark not in _HARMLESS:
            raise NotReadableError(f"{os.fsdecode(place)} has the mark {listed}")
        elif mark is None and name.startswith(_OF_USERS):
            foreign.append(name)
    return tuple(sorted(kept)), tuple(sorted(foreign)), opaque


def sees_all_attributes() -> bool:
    """Say whether this process sees the overlay's marks and everybody's files with their own numbers.

    ``trusted.*`` shows itself to CAP_SYS_ADMIN of the first user namespace only (``xattr(7)``).
    """
    try:
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        numbers = Path("/proc/self/uid_map").read_text().split()
        capabilities = int(status["CapEff"], 16)
    except (OSError, KeyError, ValueError):
        return False
    return numbers == ALL_NUMBERS and capabilities & _NEEDED == _NEEDED
