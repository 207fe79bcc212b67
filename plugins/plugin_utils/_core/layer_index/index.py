# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Indexes a layer in one pass over its tar archive, and caches indexes on disk.

Whiteouts follow the OCI image specification (``layer.md``): ``.wh.NAME`` removes ``NAME``; ``.wh..wh..opq`` removes
everything that lower layers have in its folder. Other names with ``.wh..wh.`` are private to a storage driver.

The cache is the private folder ``$XDG_CACHE_HOME/tierwright``. It also holds image configurations and other values.
Entries are named by digests, so they never go out of date. The folder can be removed at any time. The cache removes
entries that nobody has read for :data:`KEPT` seconds.
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
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import local_files
from ..errors import DamagedError
from ..local_files import write_atomically
from . import merged_files, package_databases
from .entries import DIRECTORY, FILE, HARDLINK, SYMLINK, Index, IndexEntry, InstalledPackage, Packages
from .tar_stream import ForwardStream, Reader, content, members, readable

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
        what: The layer's name in messages.

    Raises:
        DamagedError: It is not a tar archive, is incomplete, or has an entry outside the root file system.
    """
    stream = ForwardStream(source, what)
    builder = _IndexBuilder(what)
    for member, tar in members(stream, what):
        builder.add(member, content(tar, member, what))
    with readable(what):
        digest = stream.rest()
    return builder.build(digest)


class _IndexBuilder:
    def __init__(self, what: str) -> None:
        self._what = what
        self._entries: list[IndexEntry] = []
        self._files: dict[str, IndexEntry] = {}
        self._whiteouts: list[str] = []
        self._opaque: list[str] = []
        self._database_files: dict[str, bytes] = {}
        self._kept: dict[str, bytes] = {}
        self._unread: list[str] = []

    def add(self, member: tarfile.TarInfo, pieces: Iterator[bytes]) -> None:
        path = self._path(member.name)
        folder, _, name = path.rpartition("/")
        if name == _OPAQUE:
            self._opaque.append(folder)
        elif name.startswith(_WHITEOUT):
            if not name.startswith(_DRIVER):
                self._whiteouts.append(f"{folder}/{name[len(_WHITEOUT) :]}".lstrip("/"))
        elif path:
            self._entries.append(self._entry(path, member, pieces))

    def build(self, digest: str) -> Index:
        installed: dict[str, tuple[InstalledPackage, ...]] = {}
        for path in self._database_files:
            if package_databases.is_database(path):
                try:
                    installed[path] = package_databases.read(path, self._database_files)
                except DamagedError as error:
                    self._unread.append(str(error))
        return Index(
            digest=digest,
            size=sum(entry.size for entry in self._entries if entry.kind == FILE),
            entries=tuple(self._entries),
            whiteouts=tuple(self._whiteouts),
            opaque=tuple(self._opaque),
            databases=_by_version(installed),
            installed=installed,
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
        limit = (
            package_databases.LARGEST
            if package_databases.is_wanted(path)
            else merged_files.LARGEST
            if merged_files.is_kept(path)
            else 0
        )
        kept: list[bytes] = []
        size = 0
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            if size <= limit:
                kept.append(piece)
        if package_databases.is_wanted(path) and size > limit:
            self._unread.append(package_databases.too_large(path))
        elif limit and size <= limit:
            contents = self._database_files if package_databases.is_wanted(path) else self._kept
            contents[path] = b"".join(kept)
        if message := package_databases.why_not(path):
            self._unread.append(message)
        return "sha256:" + digest.hexdigest()


#: Seconds after which an entry is removed that nobody has read: 30 days.
KEPT = 30 * 24 * 3600

#: Increase it by one whenever the content or the meaning of an index changes.
_FORMAT = "3"


class Store:
    """The cache of layer indexes and other values, a folder on disk."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use ``folder``, or by default the user's cache. The folder is created on the first write."""
        self._folder = folder or _user_folder()
        self._indexes: dict[str, Index] = {}
        self._ready: set[Path] = set()

    def index(self, layer: str) -> Index | None:
        """Return the index of the layer with this digest; ``None`` if the cache does not have it."""
        if layer not in self._indexes:
            cached = self._read("layer", layer, _parse_index)
            if cached is None:
                return None
            self._indexes[layer] = cached
        return self._indexes[layer]

    def add(self, index: Index) -> None:
        """Add the index of a layer."""
        self._indexes[index.digest] = index
        self._write("layer", index.digest, _fields(index))

    def packages(self, layer: str) -> Index | None:
        """Return an index that has at least the packages of a layer; ``None`` if the cache has none."""
        return self.index(layer) or self._read("packages", layer, _parse_index)

    def add_packages(self, index: Index) -> None:
        """Add an index that has only the packages of a layer."""
        self._write("packages", index.digest, _fields(index))

    def value(self, kind: str, identity: str) -> Any:
        """Return the value that :meth:`put` stored; ``None`` if the cache does not have it."""
        return self._read(kind, identity, lambda value: value)

    def put(self, kind: str, identity: str, value: Any) -> None:
        """Store a JSON value under the digest of the content that it was computed from."""
        self._write(kind, identity, value)

    def _read(self, kind: str, identity: str, parse: Callable[[Any], Any]) -> Any:
        path = self._path(kind, identity)
        # A damaged entry counts as missing: the cache holds only copies.
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error):
            value = parse(json.loads(zlib.decompress(path.read_bytes())))
            if time.time() - path.stat().st_mtime > KEPT / 2:
                os.utime(path)
            return value
        return None

    def _write(self, kind: str, identity: str, value: Any) -> None:
        path = self._path(kind, identity)
        content = zlib.compress(json.dumps(value).encode(), level=1)
        with contextlib.suppress(OSError):  # without the cache, on a full or read-only disk, reading is only slower
            self._prepare(path.parent)
            write_atomically(path, content)

    def _prepare(self, folder: Path) -> None:
        """Create a folder; before the first one, remove old entries."""
        if folder in self._ready:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._ready:
            self._remove_old()
        folder.mkdir(parents=True, exist_ok=True)
        self._ready.add(folder)

    def _remove_old(self) -> None:
        for path in self._folder.rglob("*"):
            with contextlib.suppress(OSError):  # a parallel process has removed it
                if path.is_file() and time.time() - path.stat().st_mtime > KEPT:
                    path.unlink()

    def _path(self, kind: str, identity: str) -> Path:
        return self._folder / _FORMAT / kind / identity.rpartition(":")[2]


def _user_folder() -> Path:
    return local_files.cache() / "inspect"


def _by_version(installed: Mapping[str, Iterable[InstalledPackage]]) -> dict[str, Packages]:
    return {path: package_databases.versions(packages) for path, packages in installed.items()}


def _fields(index: Index) -> dict[str, Any]:
    fields = {name: getattr(index, name) for name in index.__struct_fields__ if name != "databases"}
    return {**fields, "kept": {path: base64.b64encode(content).decode() for path, content in index.kept.items()}}


def _parse_index(fields: dict[str, Any]) -> Index:
    installed = {
        path: tuple(InstalledPackage(*package) for package in packages)
        for path, packages in fields["installed"].items()
    }
    return Index(
        digest=fields["digest"],
        size=fields["size"],
        entries=tuple(IndexEntry(*entry) for entry in fields["entries"]),
        whiteouts=tuple(fields["whiteouts"]),
        opaque=tuple(fields["opaque"]),
        databases=_by_version(installed),
        installed=installed,
        unread=tuple(fields["unread"]),
        kept={path: base64.b64decode(content) for path, content in fields["kept"].items()},
    )
