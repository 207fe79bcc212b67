# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The archive in which the tests of a tier travel: a canonical tar archive, so equal tests have equal bytes.

It contains regular files and their folders, sorted, without owners and times. Of the mode of a file, only "executable"
is kept. An archive from a registry is hostile. It is read in memory, and is accepted only if this module would write
exactly the same bytes for its content.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from ..build_key.file_digests import read_file
from ..errors import DamagedError
from ..layer.file_entry import FileEntry, FileKind
from ..layer.tar_writer import Layer

#: Limits of the archive: its size in bytes, and the number of its files and folders.
LARGEST = 16 << 20
MOST = 4096
#: Limit of a path in bytes.
_LONGEST_PATH = 1024


class PackedFile(msgspec.Struct, frozen=True):
    """One file of the tests."""

    content: bytes
    executable: bool = False


def pack(files: Mapping[str, PackedFile]) -> bytes:
    """Return the archive of files.

    Args:
        files: The files, by their paths relative to the folder of the tests, with ``/``.

    Raises:
        ValueError: There are too many files, or the archive is too large.
    """
    folders = {parent.as_posix() for path in files for parent in PurePosixPath(path).parents} - {"."}
    if len(files) + len(folders) > MOST:
        raise ValueError(f"there are {len(files) + len(folders)} files and folders; at most {MOST} are allowed")
    entries = [FileEntry(os.fsencode(path), FileKind.DIRECTORY, 0o755, 0, 0, 0) for path in folders]
    for path, file in files.items():
        mode = 0o755 if file.executable else 0o644
        size, content = len(file.content), file.content
        entries.append(FileEntry(os.fsencode(path), FileKind.FILE, mode, 0, 0, 0, size=size, content=content))
    layer = Layer(entries, epoch=0)
    if layer.size > LARGEST:
        raise ValueError(f"the archive has {layer.size} bytes; at most {LARGEST} are allowed")
    return b"".join(layer.pieces())


def unpack(archive: bytes, what: str) -> dict[str, PackedFile]:
    """Read an archive from a registry.

    Args:
        archive: The archive.
        what: Its name in messages.

    Returns:
        The files, by their paths relative to the folder of the tests.

    Raises:
        DamagedError: It is not an archive that :func:`pack` wrote.
    """
    files = {}
    try:
        for member in _members(archive):
            if member.isfile():
                files[member.name] = PackedFile(_content(archive, member), bool(member.mode & stat.S_IXUSR))
        is_canonical = pack(files) == archive
    except (ValueError, tarfile.TarError, EOFError, OSError, OverflowError) as error:
        problem = str(error)
    else:
        problem = "" if is_canonical else "it is not canonical"
    if problem:
        raise DamagedError(f"{what} cannot be accepted: {problem}; expected an archive that publishing wrote")
    return files


def read_folder(folder: Path) -> dict[str, PackedFile]:
    """Read a folder that :func:`write_folder` wrote.

    Raises:
        OSError: It cannot be read, or has something that is not a regular file or a folder.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            files[path.relative_to(folder).as_posix()] = PackedFile(read_file(path), bool(mode & stat.S_IXUSR))
        elif not stat.S_ISDIR(mode):
            raise OSError(f"{path} is not a regular file or a folder")
    return files


def write_folder(folder: Path, files: Mapping[str, PackedFile]) -> None:
    """Write files into a folder, which is created. Only this user can read them.

    Raises:
        OSError: The folder exists, or a file cannot be written.
    """
    folder.mkdir(mode=0o700)
    for name, file in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("xb") as output:
            output.write(file.content)
        path.chmod(0o700 if file.executable else 0o600)


def _members(archive: bytes) -> Iterator[tarfile.TarInfo]:
    if len(archive) > LARGEST:
        raise ValueError(f"it has {len(archive)} bytes; at most {LARGEST} are allowed")
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:", errors="surrogateescape") as tar:
        for number, member in enumerate(tar):
            if number >= MOST:
                raise ValueError(f"it has more than {MOST} files and folders")
            path, parts = member.name, member.name.split("/")
            if {"", ".", ".."} & set(parts) or "\0" in path or len(os.fsencode(path)) > _LONGEST_PATH:
                raise ValueError(f"{path!r} is not a path below the folder of the tests")
            if not (member.isfile() or member.isdir()):
                raise ValueError(f"{path!r} is not a regular file or a folder")
            yield member


def _content(archive: bytes, member: tarfile.TarInfo) -> bytes:
    content = archive[member.offset_data : member.offset_data + member.size]
    if len(content) != member.size:
        raise ValueError(f"{member.name!r} is longer than the archive")
    return content
