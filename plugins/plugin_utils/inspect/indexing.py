# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Making the index of a layer out of its tar archive, in one pass.

Whiteouts are those of the OCI image specification (``layer.md``): ``.wh.NAME`` removes ``NAME``, ``.wh..wh..opq``
everything that lower layers have in its folder. Other names with ``.wh..wh.`` are a storage driver's own.
"""

from __future__ import annotations

import hashlib
import stat
import tarfile
from collections.abc import Iterator

from ..errors import DamagedError
from . import databases, kept
from .entry import DIRECTORY, FILE, HARDLINK, SYMLINK, Entry, Index, Packages
from .stream import Forward, Reader, content, members, readable

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_DRIVER = ".wh..wh."

_KINDS = {
    tarfile.DIRTYPE: DIRECTORY,
    tarfile.SYMTYPE: SYMLINK,
    tarfile.LNKTYPE: HARDLINK,
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "fifo",
}


def index(source: Reader, what: str) -> Index:
    """Read a layer to its end.

    Args:
        source: The uncompressed layer.
        what: What it is called in messages.

    Raises:
        DamagedError: It is no tar archive, is not whole, or has an entry that leaves the root file system.
    """
    forward = Forward(source, what)
    making = _Making(what)
    for member, tar in members(forward, what):
        making.take(member, content(tar, member, what))
    with readable(what):
        digest = forward.rest()
    return making.done(digest)


class _Making:
    def __init__(self, what: str) -> None:
        self._what = what
        self._entries: list[Entry] = []
        self._files: dict[str, Entry] = {}
        self._whiteouts: list[str] = []
        self._opaque: list[str] = []
        self._captured: dict[str, bytes] = {}
        self._kept: dict[str, bytes] = {}
        self._unread: list[str] = []

    def take(self, member: tarfile.TarInfo, pieces: Iterator[bytes]) -> None:
        path = self._path(member.name)
        folder, _, name = path.rpartition("/")
        if name == _OPAQUE:
            self._opaque.append(folder)
        elif name.startswith(_WHITEOUT):
            if not name.startswith(_DRIVER):
                self._whiteouts.append(f"{folder}/{name[len(_WHITEOUT) :]}".lstrip("/"))
        elif path:
            self._entries.append(self._entry(path, member, pieces))

    def done(self, digest: str) -> Index:
        packages: dict[str, Packages] = {}
        for path in self._captured:
            if databases.is_database(path):
                try:
                    packages[path] = databases.read(path, self._captured)
                except DamagedError as error:
                    self._unread.append(str(error))
        return Index(
            digest=digest,
            size=sum(entry.size for entry in self._entries if entry.kind == FILE),
            entries=tuple(self._entries),
            whiteouts=tuple(self._whiteouts),
            opaque=tuple(self._opaque),
            databases=packages,
            unread=tuple(self._unread),
            kept=self._kept,
        )

    def _path(self, name: str) -> str:
        parts = [part for part in name.split("/") if part not in {"", "."}]
        if ".." in parts:
            raise DamagedError(f"{self._what} is damaged: its entry {name!r} leaves the root file system")
        return "/".join(parts)

    def _entry(self, path: str, member: tarfile.TarInfo, pieces: Iterator[bytes]) -> Entry:
        kind = _KINDS.get(member.type, FILE)
        size, digest, target = 0, "", member.linkname
        if kind == FILE:
            size, digest, target = member.size, self._digest(path, pieces), ""
        elif kind == HARDLINK:
            target = self._path(member.linkname)
            linked = self._files.get(target)
            size, digest = (linked.size, linked.digest) if linked else (0, "")
        elif member.ischr() or member.isblk():
            target = f"{member.devmajor}:{member.devminor}"
        entry = Entry(path, kind, stat.S_IMODE(member.mode), member.uid, member.gid, size, digest, target)
        if digest:
            self._files[path] = entry
        return entry

    def _digest(self, path: str, pieces: Iterator[bytes]) -> str:
        digest = hashlib.sha256()
        most = databases.LARGEST if databases.is_wanted(path) else kept.LARGEST if kept.is_kept(path) else 0
        captured: list[bytes] = []
        size = 0
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            if size <= most:
                captured.append(piece)
        if databases.is_wanted(path) and size > most:
            self._unread.append(databases.too_large(path))
        elif most and size <= most:
            into = self._captured if databases.is_wanted(path) else self._kept
            into[path] = b"".join(captured)
        if sentence := databases.why_not(path):
            self._unread.append(sentence)
        return "sha256:" + digest.hexdigest()
