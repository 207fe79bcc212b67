# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds references of a layer to paths that the image will not have.

Links have targets; scripts begin with the path of their interpreter; virtual environments, units and configuration
files contain paths. A path may exist only during the build, like the Python that modules run with. Then the role works,
but the image would not, so the layer is rejected. A path may also have been left out of the layer. Then the message
about it names the file that refers to it.

Only links, executable files and configuration files are read, and only the beginning of each file.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator

import msgspec

from ..errors import SealError
from .build_memory import Timeline
from .file_entry import FileEntry, FileKind, fill, parent, printable_path

#: Prefix of the folders that exist only while a tier is built: for Ansible, the mounted Python and the agent.
BUILD_ONLY = b"/dev/tierwright"

#: Number of bytes that are read from a file.
_HEAD = 4096

#: Names of configuration files in any folder.
_CONFIG_FILES = re.compile(
    rb"(?:.*/)?[^/]*(?:rc|\.(?:conf|cfg|ini|env|sh|profile|service|timer|socket|path|pth|json|toml|ya?ml))", re.DOTALL
)
_CONFIG_FOLDERS = (b"etc/", b"var/spool/cron/")
_EXECUTABLE = 0o111

#: An absolute path in a text.
_PATH = re.compile(rb"/[\w.+@%~-]+(?:/[\w.+@%~-]+)*")

#: Number of paths in a message.
_SHOWN = 3


class Reference(msgspec.Struct, frozen=True):
    """An entry of a layer, and the absolute paths that it refers to."""

    entry: FileEntry
    names: tuple[bytes, ...]


def find(entries: Iterable[FileEntry]) -> list[Reference]:
    """Find the paths that a layer's links, programs and configuration files refer to.

    Raises:
        SealError: A file cannot be read.
    """
    return [Reference(entry, names) for entry in entries if (names := tuple(_paths_in(entry)))]


def check(references: Iterable[Reference], timeline: Timeline, keeps: Callable[[bytes], bool]) -> None:
    """Reject a layer that refers to paths that exist only during the build.

    Args:
        references: The references of its entries.
        timeline: The tasks of the build.
        keeps: Tells whether ``tier_keep`` names a path; then its references are not checked.

    Raises:
        SealError: The layer has such a reference. The message names the paths and, if they are known, the tasks.
    """
    build_only = [
        (reference.entry, name)
        for reference in references
        for name in reference.names
        if name.startswith(BUILD_ONLY) and not keeps(reference.entry.path)
    ]
    first = {entry.path: (entry, name) for entry, name in reversed(build_only)}
    if first:
        lines = [_describe(*first[path], timeline) for path in sorted(first)]
        more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        raise SealError(
            f"{', '.join(lines[:_SHOWN])}{more}: this path exists only while the tier is built, like the Python that "
            "modules run with and Ansible's own folders, and no container of the image has it. Let the role install "
            "python3 and use /usr/bin/python3, or set tier_python_interpreter to a Python that the image has; list "
            "files that no container needs in tier_drop"
        )


def referring(references: Iterable[Reference], left_out: Collection[bytes]) -> dict[bytes, bytes]:
    """Find references to paths that were left out of the layer.

    Args:
        references: The references of its entries.
        left_out: The paths that were left out.

    Returns:
        For each of these paths that is referred to, the path of the first entry that refers to it.
    """
    referrers: dict[bytes, bytes] = {}
    for reference in references if left_out else ():
        for path in {name.strip(b"/") for name in reference.names} & set(left_out):
            referrers.setdefault(path, reference.entry.path)
    return referrers


def _paths_in(entry: FileEntry) -> Iterator[bytes]:
    """Yield the absolute paths that an entry refers to."""
    if entry.kind is FileKind.SYMLINK:
        yield posixpath.normpath(posixpath.join(b"/" + parent(entry.path), entry.target))
    elif entry.kind is FileKind.FILE and entry.size and _may_contain_paths(entry):
        yield from _PATH.findall(_head(entry))


def _may_contain_paths(entry: FileEntry) -> bool:
    return bool(
        entry.mode & _EXECUTABLE or entry.path.startswith(_CONFIG_FOLDERS) or _CONFIG_FILES.fullmatch(entry.path)
    )


def _head(entry: FileEntry) -> bytes:
    """Return the beginning of a text file; empty for a binary file."""
    head = bytearray(min(entry.size, _HEAD))
    fill(memoryview(head), entry, 0)
    return b"" if b"\0" in head else bytes(head)


def _describe(entry: FileEntry, name: bytes, timeline: Timeline) -> str:
    task = timeline.at(entry)
    by = f", made by {task}" if task and task.role else ""
    verb = "leads" if entry.kind is FileKind.SYMLINK else "refers"
    return f"/{printable_path(entry.path)} {verb} to {printable_path(name)}{by}"
