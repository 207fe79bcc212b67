# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads root file systems from tar archives: exports of engines, and archives of bases."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..engine.chunks import reader
from ..errors import EngineError
from .file_entry import CHUNK, KEPT_ATTRIBUTES, FileEntry, FileKind, PathChange, Slice, parent

_KINDS = {kind.value: kind for kind in FileKind} | {tarfile.AREGTYPE: FileKind.FILE}
_ATTRIBUTE = "SCHILY.xattr."

_Store = Callable[[tarfile.TarFile, tarfile.TarInfo], tuple[Slice | bytes, bytes]]


def changes(before: Iterable[bytes], now: Iterable[bytes], spool: Path) -> Iterator[PathChange]:
    """Compare two root file systems that an engine exported.

    Args:
        before: The export that the container was started from, in pieces.
        now: The export of the container, in pieces.
        spool: A file to create for the content of ``now``. It must exist as long as the changes are used.

    Raises:
        EngineError: An archive is damaged.
    """
    yield from compare({entry.path: entry for entry in tree(before)}, now, spool)


def compare(old: Mapping[bytes, FileEntry], now: Iterable[bytes], spool: Path) -> Iterator[PathChange]:
    """Do the same as :func:`changes` with ``old``, the entries before by path, which have been read already."""
    with spool.open("xb") as file:
        spool_path = os.fsencode(spool)

        def store(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[Slice, bytes]:
            start, digest = file.tell(), hashlib.sha256()
            for piece in _content(tar, member):
                digest.update(piece)
                file.write(piece)
            return Slice(spool_path, start), digest.digest()

        new = _exported(now, store)
    for path, entry in new.items():
        yield PathChange(entry, old.get(path))
    for path, entry in old.items():
        if path not in new and _is_folder(new, parent(path)):
            yield PathChange(None, entry)


def entries(archive: Path) -> Iterable[FileEntry]:
    """Read a root file system from an uncompressed tar archive. The entries refer to the content in the archive.

    Raises:
        tarfile.TarError: The archive is damaged.
    """
    archive_path = os.fsencode(archive)
    with tarfile.open(archive, "r:") as tar:
        return _tree(tar, lambda _tar, member: (Slice(archive_path, member.offset_data), b"")).values()


def tree(export: Iterable[bytes]) -> Iterable[FileEntry]:
    """Read a root file system that an engine exported. The entries have the digests of files, but not their content.

    Raises:
        EngineError: The archive is damaged.
    """
    return _exported(export, _digested).values()


def _is_folder(by_path: Mapping[bytes, FileEntry], path: bytes) -> bool:
    return not path or (path in by_path and by_path[path].kind is FileKind.DIRECTORY)


def _digested(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[bytes, bytes]:
    digest = hashlib.sha256()
    for piece in _content(tar, member):
        digest.update(piece)
    return b"", digest.digest()


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    file = tar.extractfile(member)
    while file is not None and (piece := file.read(CHUNK)):
        yield piece


def _exported(archive: Iterable[bytes], store: _Store) -> dict[bytes, FileEntry]:
    try:
        with tarfile.open(fileobj=reader(archive), mode="r|", bufsize=CHUNK) as tar:
            return _tree(tar, store)
    except (tarfile.TarError, EOFError) as error:
        raise EngineError(f"reading an export from the engine: the archive is damaged ({error})") from error


def _tree(tar: tarfile.TarFile, store: _Store) -> dict[bytes, FileEntry]:
    by_path: dict[bytes, FileEntry] = {}
    for member in tar:
        tar.members = []  # type: ignore[attr-defined]  # otherwise tarfile keeps all members in memory
        path = _path(member.name)
        if not path:
            continue
        if member.islnk():
            first = _path(member.linkname)
            by_path[first] = replace(by_path[first], inode=first)
            by_path[path] = replace(by_path[first], path=path)
        else:
            by_path[path] = _entry(tar, member, path, store)
    return by_path


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo, path: bytes, store: _Store) -> FileEntry:
    kind = _KINDS[member.type]
    content, digest = store(tar, member) if kind is FileKind.FILE else (b"", b"")
    return FileEntry(
        path=path,
        kind=kind,
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        mtime=int(member.mtime // 1),
        size=member.size if kind is FileKind.FILE else 0,
        target=_bytes(member.linkname) if kind is FileKind.SYMLINK else b"",
        device=(member.devmajor, member.devminor) if kind in {FileKind.CHARACTER, FileKind.BLOCK} else (0, 0),
        attributes=_attributes(member),
        content=content,
        digest=digest,
    )


def _attributes(member: tarfile.TarInfo) -> tuple[tuple[bytes, bytes], ...]:
    attributes = {
        _bytes(key.removeprefix(_ATTRIBUTE)): _bytes(value)
        for key, value in member.pax_headers.items()
        if key.startswith(_ATTRIBUTE)
    }
    return tuple(sorted((key, value) for key, value in attributes.items() if key in KEPT_ATTRIBUTES))


def _path(name: str) -> bytes:
    return b"/".join(part for part in _bytes(name).split(b"/") if part not in {b"", b"."})


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
