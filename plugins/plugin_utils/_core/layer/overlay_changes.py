# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the changes of a build from the directories of an overlay file system.

The upper directory holds complete copies of everything that was written. Deletions are recorded as device nodes and
extended attributes (https://docs.kernel.org/filesystems/overlayfs.html). An *opaque* directory hides all content of the
lower directories at its place. The kernel marks every new directory as opaque, even if there is nothing to hide. In a
layer, this mark would also hide content of a future parent. Therefore it is replaced by deletions of the files that it
hides on the current parent.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from .file_entry import KEPT_ATTRIBUTES, FileEntry, FileKind, PathChange, Slice

#: Prefix of the kernel's own attributes, and their prefix in a mount with the option ``userxattr``. In each kind of
#: mount, attributes with the other prefix are ordinary ones, which hide nothing.
TRUSTED, USER = b"trusted.overlay.", b"user.overlay."
_OPAQUE = b"opaque"

#: Prefix of the attributes that every user may set (``xattr(7)``).
_USER_PREFIX = b"user."

#: Marks that do not change the visible content. With any other mark, only the kernel can read the directory:
#: ``redirect`` and ``metacopy`` store content elsewhere.
_HARMLESS = frozenset({b"origin", b"impure", b"nlink", b"upper", b"uuid", _OPAQUE})

#: CAP_DAC_READ_SEARCH and CAP_SYS_ADMIN, as bits of ``CapEff`` in ``/proc/self/status``.
_CAPABILITIES = 1 << 2 | 1 << 21

#: Content of ``uid_map`` if user IDs are the same as on the machine.
IDENTITY_MAP = ["0", "0", str(2**32 - 1)]

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
    """The directories cannot be read, or their content differs from the file system that the container sees."""


class Overlay(msgspec.Struct, frozen=True):
    """The directories of one overlay."""

    upper: bytes
    #: The lower directories, the topmost first.
    lowers: tuple[bytes, ...]
    #: :data:`TRUSTED` or :data:`USER`.
    marks: bytes = TRUSTED


class Lower:
    """The merged content of the lower directories of an overlay, as an :class:`.file_entry.Origin`."""

    def __init__(self, overlay: Overlay) -> None:
        """Take the overlay."""
        self._overlay = overlay

    def get(self, path: bytes) -> FileEntry | None:
        """Return the entry at ``path``; ``None`` if nothing is there.

        Raises:
            NotReadableError: The directories cannot be read.
        """
        return self._at(path).entry

    def children(self, folder: bytes) -> Iterable[FileEntry]:
        """Return the entries directly in ``folder``.

        Raises:
            NotReadableError: The directories cannot be read.
        """
        folders = self._at(folder).folders if folder else self._overlay.lowers
        prefix = folder + b"/" if folder else b""
        try:
            names = {item.name for lower in folders for item in _scan(lower)}
            entries = (_merge(folders, name, prefix + name, self._overlay.marks).entry for name in names)
            return [entry for entry in entries if entry is not None]
        except OSError as error:
            raise NotReadableError(str(error)) from error

    def _at(self, path: bytes) -> _Merged:
        merged, prefix = _Merged(None, self._overlay.lowers), b""
        for name in path.split(b"/"):
            prefix = b"/".join(filter(None, (prefix, name)))
            try:
                merged = _merge(merged.folders, name, prefix, self._overlay.marks)
            except OSError as error:
                raise NotReadableError(str(error)) from error
        return merged


class _Merged(msgspec.Struct, frozen=True):
    """The merged view of the lower directories at one path."""

    entry: FileEntry | None = None
    #: For a directory: the directories that it is merged from, the topmost first.
    folders: tuple[bytes, ...] = ()


_NOTHING = _Merged()


def changes(overlay: Overlay) -> Iterator[PathChange]:
    """Yield every path that the upper directory writes or hides, a directory before its content.

    Raises:
        NotReadableError: A directory has a mark that only the kernel can follow, or cannot be read.
    """
    waiting, marks = [(overlay.upper, b"", overlay.lowers, False)], overlay.marks
    try:
        while waiting:
            folder, prefix, lowers, hides = waiting.pop()
            names = set()
            for item in _scan(folder):
                name = item.name
                names.add(name)
                path = prefix + name
                lower = _merge(lowers, name, path, marks)
                now, opaque = _entry(folder + b"/" + name, path, item.stat(follow_symlinks=False), marks)
                if now is not None or lower.entry is not None:
                    yield PathChange(now, lower.entry)
                if now is not None and now.kind is FileKind.DIRECTORY:
                    waiting.append((folder + b"/" + name, path + b"/", lower.folders, hides or opaque))
            if hides:
                yield from _hidden(lowers, prefix, names, marks)
    except OSError as error:
        raise NotReadableError(str(error)) from error


def _scan(folder: bytes) -> list[os.DirEntry[bytes]]:
    with os.scandir(folder) as items:
        return list(items)


def _hidden(lowers: Sequence[bytes], prefix: bytes, names: set[bytes], marks: bytes) -> Iterator[PathChange]:
    for name in {item.name for folder in lowers for item in _scan(folder)} - names:
        lower = _merge(lowers, name, prefix + name, marks)
        if lower.entry is not None:
            yield PathChange(None, lower.entry)


def _merge(lowers: Sequence[bytes], name: bytes, path: bytes, marks: bytes) -> _Merged:
    """Merge the item ``name`` of the lower directories as the kernel does."""
    if not lowers:
        return _NOTHING
    top: FileEntry | None = None
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
        if top is None:
            top = entry
        if not stat.S_ISDIR(status.st_mode):
            break
        folders.append(place)
        if opaque:
            break
    return _Merged(top, tuple(folders))


def _entry(place: bytes, path: bytes, status: os.stat_result, marks: bytes) -> tuple[FileEntry | None, bool]:
    """Read one path of one directory. Return its entry (``None`` for a whiteout), and whether it is opaque."""
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
            target=os.readlink(place) if kind is FileKind.SYMLINK else b"",  # noqa: PTH115 - the path is bytes
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
    """Return the attributes for the layer, the names of the users' attributes, and whether the place is opaque."""
    names = os.listxattr(place, follow_symlinks=False)
    if not names:  # true for most files
        return (), (), False
    kept, foreign, opaque = [], [], False
    for attribute in names:
        name = os.fsencode(attribute)
        mark = name.removeprefix(marks) if name.startswith(marks) else None
        if name in KEPT_ATTRIBUTES:
            kept.append((name, os.getxattr(place, attribute, follow_symlinks=False)))
        elif mark == _OPAQUE:
            if os.getxattr(place, attribute, follow_symlinks=False) != b"y":
                raise NotReadableError(f"{os.fsdecode(place)} hides files by extended attributes")
            opaque = True
        elif mark is not None and mark not in _HARMLESS:
            raise NotReadableError(f"{os.fsdecode(place)} has the mark {attribute}")
        elif mark is None and name.startswith(_USER_PREFIX):
            foreign.append(name)
    return tuple(sorted(kept)), tuple(sorted(foreign)), opaque


def sees_all_attributes() -> bool:
    """Tell whether this process sees the marks of overlays, and the files of all users with their real user IDs.

    Only a process with CAP_SYS_ADMIN in the initial user namespace sees ``trusted.*`` (``xattr(7)``).
    """
    try:
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        uid_map = Path("/proc/self/uid_map").read_text().split()
        capabilities = int(status["CapEff"], 16)
    except (OSError, KeyError, ValueError):
        return False
    return uid_map == IDENTITY_MAP and capabilities & _CAPABILITIES == _CAPABILITIES
