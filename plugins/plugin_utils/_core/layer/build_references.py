# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a layer refers to and an image will not have.

Links lead somewhere; programs begin with the interpreter that runs them; virtual environments, units and settings name
it. What they name may exist only while a tier is built, as the Python that modules run with does: then the role worked,
and the image would not. So it is refused. What they name may have been left out: then that is told by name.

Files that say such things are small, and known by what they are: programs, and settings. Nothing else is read.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from ..errors import SealError
from .build_memory import Timeline
from .file_entry import FileEntry, FileKind, fill, parent, shown

#: Folders that are there only while a tier is built: Ansible's own, the interpreter's and the agent's.
BUILD_ONLY = b"/dev/tierwright"

#: The beginning of a file that is read.
_HEAD = 4096

#: Names of files that say where programs are, wherever they lie.
_SETTINGS = re.compile(
    rb"(?:.*/)?[^/]*(?:rc|\.(?:conf|cfg|ini|env|sh|profile|service|timer|socket|path|pth|json|toml|ya?ml))", re.DOTALL
)
_FOLDERS_OF_SETTINGS = (b"etc/", b"var/spool/cron/")
_EXECUTABLE = 0o111

#: An absolute path in a text.
_PATH = re.compile(rb"/[\w.+@%~-]+(?:/[\w.+@%~-]+)*")

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Reference:
    """An entry of a layer, and the absolute paths that it names."""

    entry: FileEntry
    names: tuple[bytes, ...]


def find(entries: Iterable[FileEntry]) -> list[Reference]:
    """Read what a layer's links, programs and settings name.

    Raises:
        SealError: A file cannot be read.
    """
    return [Reference(entry, names) for entry in entries if (names := tuple(_named(entry)))]


def check(references: Iterable[Reference], timeline: Timeline, keeps: Callable[[bytes], bool]) -> None:
    """Refuse a layer that refers to what is there only while it is built.

    Args:
        references: What its entries name.
        timeline: The tasks of the build.
        keeps: Says whether the tier keeps a path whatever it is.

    Raises:
        SealError: It does; the message names paths and, where they are known, tasks.
    """
    found = [
        (each.entry, name)
        for each in references
        for name in each.names
        if name.startswith(BUILD_ONLY) and not keeps(each.entry.path)
    ]
    first = {entry.path: (entry, name) for entry, name in reversed(found)}
    if first:
        told = [_told(*first[path], timeline) for path in sorted(first)]
        more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        raise SealError(
            f"{', '.join(told[:_SHOWN])}{more}: that is there only while the tier is built, as the Python that modules "
            "run with and Ansible's own folders, and no container of the image has it. Let the role install python3 "
            "and use /usr/bin/python3, or set tier_python_interpreter to a Python that the image has; name in "
            "tier_drop what no container needs"
        )


def referring(references: Iterable[Reference], left_out: Collection[bytes]) -> dict[bytes, bytes]:
    """Find what refers to paths that are not in the layer.

    Args:
        references: What its entries name.
        left_out: These paths.

    Returns:
        By a path that was left out, one that refers to it.
    """
    found: dict[bytes, bytes] = {}
    for each in references if left_out else ():
        for path in {name.strip(b"/") for name in each.names} & set(left_out):
            found.setdefault(path, each.entry.path)
    return found


def _named(entry: FileEntry) -> Iterator[bytes]:
    """Yield the absolute paths that an entry names."""
    if entry.kind is FileKind.SYMLINK:
        yield posixpath.normpath(posixpath.join(b"/" + parent(entry.path), entry.target))
    elif entry.kind is FileKind.FILE and entry.size and _says_paths(entry):
        yield from _PATH.findall(_head(entry))


def _says_paths(entry: FileEntry) -> bool:
    return bool(
        entry.mode & _EXECUTABLE or entry.path.startswith(_FOLDERS_OF_SETTINGS) or _SETTINGS.fullmatch(entry.path)
    )


def _head(entry: FileEntry) -> bytes:
    """The beginning of a text; nothing of a program that is none."""
    head = bytearray(min(entry.size, _HEAD))
    fill(memoryview(head), entry, 0)
    return b"" if b"\0" in head else bytes(head)


def _told(entry: FileEntry, name: bytes, timeline: Timeline) -> str:
    task = timeline.at(entry)
    by = f", made by {task}" if task and task.role else ""
    return f"/{shown(entry.path)} {'leads' if entry.kind is FileKind.SYMLINK else 'refers'} to {shown(name)}{by}"
