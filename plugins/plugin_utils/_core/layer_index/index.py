# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the index of a layer, and keeps indexes on disk.

Making the index of a layer out of its tar archive, in one pass.

Whiteouts are those of the OCI image specification (``layer.md``): ``.wh.NAME`` removes ``NAME``, ``.wh..wh..opq``
everything that lower layers have in its folder. Other names with ``.wh..wh.`` are a storage driver's own.

What was read once: configurations and indexes of layers, by digest.

Content that is named by its digest never changes, so nothing here is ever out of date. It lies in
``$XDG_CACHE_HOME/tierwright``, for the user alone, may be removed at any time, and removes itself what nobody asked for
in :data:`KEPT` seconds.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import stat
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .. import local_files
from ..errors import DamagedError
from ..local_files import write_whole
from . import merged_files, package_databases
from .entries import DIRECTORY, FILE, HARDLINK, SYMLINK, Index, IndexEntry, Packages
from .tar_stream import Forward, Reader, content, members, readable

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
        self._entries: list[IndexEntry] = []
        self._files: dict[str, IndexEntry] = {}
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
            if package_databases.is_database(path):
                try:
                    packages[path] = package_databases.read(path, self._captured)
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

    def _entry(self, path: str, member: tarfile.TarInfo, pieces: Iterator[bytes]) -> IndexEntry:
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
        entry = IndexEntry(path, kind, stat.S_IMODE(member.mode), member.uid, member.gid, size, digest, target)
        if digest:
            self._files[path] = entry
        return entry

    def _digest(self, path: str, pieces: Iterator[bytes]) -> str:
        digest = hashlib.sha256()
        most = (
            package_databases.LARGEST
            if package_databases.is_wanted(path)
            else merged_files.LARGEST
            if merged_files.is_kept(path)
            else 0
        )
        captured: list[bytes] = []
        size = 0
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            if size <= most:
                captured.append(piece)
        if package_databases.is_wanted(path) and size > most:
            self._unread.append(package_databases.too_large(path))
        elif most and size <= most:
            into = self._captured if package_databases.is_wanted(path) else self._kept
            into[path] = b"".join(captured)
        if sentence := package_databases.why_not(path):
            self._unread.append(sentence)
        return "sha256:" + digest.hexdigest()


#: Seconds after which what nobody asked for is removed: 30 days.
KEPT = 30 * 24 * 3600

#: Raised by one whenever an index says more, or something else, than before.
_FORMAT = "2"


class Store:
    """A folder of what was read."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use ``folder``, or the user's own cache; it is made when something is put there."""
        self._folder = folder or _own()
        self._known: dict[str, Index] = {}
        self._ready: set[Path] = set()

    def index(self, layer: str) -> Index | None:
        """The index of a layer; ``None`` where it is not known."""
        if layer not in self._known:
            found = self._read("layer", layer, _index)
            if found is None:
                return None
            self._known[layer] = found
        return self._known[layer]

    def add(self, index: Index) -> None:
        """Remember a layer."""
        self._known[index.digest] = index
        told = {name: getattr(index, name) for name in index.__slots__}
        kept = {path: base64.b64encode(content).decode() for path, content in index.kept.items()}
        self._write("layer", index.digest, {**told, "kept": kept})

    def value(self, kind: str, identity: str) -> Any:
        """What :meth:`put` was given; ``None`` where it is not known."""
        return self._read(kind, identity, lambda value: value)

    def put(self, kind: str, identity: str, value: Any) -> None:
        """Remember what JSON can hold, by a digest that it can be found out anew from."""
        self._write(kind, identity, value)

    def _read(self, kind: str, identity: str, make: Callable[[Any], Any]) -> Any:
        path = self._path(kind, identity)
        # Whatever is wrong with it: it is only a copy.
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error):
            made = make(json.loads(zlib.decompress(path.read_bytes())))
            if time.time() - path.stat().st_mtime > KEPT / 2:
                os.utime(path)
            return made
        return None

    def _write(self, kind: str, identity: str, value: Any) -> None:
        path = self._path(kind, identity)
        content = zlib.compress(json.dumps(value).encode(), level=1)
        with contextlib.suppress(OSError):  # a full or read-only disk makes things slower, not wrong
            self._prepare(path.parent)
            write_whole(path, content)

    def _prepare(self, folder: Path) -> None:
        """Make a folder, and tidy up before the first one is made."""
        if folder in self._ready:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._ready:
            self._tidy()
        folder.mkdir(parents=True, exist_ok=True)
        self._ready.add(folder)

    def _tidy(self) -> None:
        for path in self._folder.rglob("*"):
            with contextlib.suppress(OSError):  # somebody else was quicker
                if path.is_file() and time.time() - path.stat().st_mtime > KEPT:
                    path.unlink()

    def _path(self, kind: str, identity: str) -> Path:
        return self._folder / _FORMAT / kind / identity.rpartition(":")[2]


def _own() -> Path:
    return local_files.cache() / "inspect"


def _index(told: dict[str, Any]) -> Index:
    return Index(
        digest=told["digest"],
        size=told["size"],
        entries=tuple(IndexEntry(*each) for each in told["entries"]),
        whiteouts=tuple(told["whiteouts"]),
        opaque=tuple(told["opaque"]),
        databases=told["databases"],
        unread=tuple(told["unread"]),
        kept={path: base64.b64decode(content) for path, content in told["kept"].items()},
    )
