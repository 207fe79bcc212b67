# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes out of a build's changes what :mod:`.residue` lists, and what says nothing new; the rest is the layer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..errors import SealError
from .build_memory import LeftOut
from .file_entry import WHITEOUT, FileEntry, FileKind, PathChange, Slice, parent, pieces, same, shown
from .paths import Matcher, matcher
from .residue import BY_FAMILY, COMMON, PACKAGE_FOLDERS, Rule, Treatment
from .snakeoil import made_up

#: Largest file that is read into memory to be put in order.
_LARGEST_SORTED = 64 << 20

#: Python's own flags of byte code: bit 0 says that it is checked by its source's hash (PEP 552).
_PYC_FLAGS = slice(4, 8)
_PYC_HASHED = 1

_BYTE_CODE = b".pyc"

#: What Ansible's ``async_wrapper`` keeps a task's result in, whatever folder it is told: it may hold what ``no_log``
#: hides.
_JOB = re.compile(rb"(?:.*/)?(?:\.ansible_async(?:/.*)?|j\d{1,12}\.\d+(?:\.tmp)?)", re.DOTALL)
_JOB_FOLDER = b".ansible_async"

_JOBS = Rule(Treatment.DROP, "results of asynchronous tasks", ())
_IMPORTED = Rule(Treatment.DROP, "byte code of what was imported", ())
_SOCKETS = Rule(
    Treatment.DROP,
    "sockets, which no layer can carry",
    (),
    "let the program that listens there make it when a container starts",
)
_ATTRIBUTES = Rule(
    Treatment.DROP,
    "extended attributes of users, which no layer has",
    (),
    "let the role do without, or set them when a container starts",
)
_OWN = Rule(Treatment.DROP, "named by tier_drop", (), "tier_drop of the tier says so")


class Cleaner:
    """What becomes of each path of one tier."""

    def __init__(self, family: str | None, drop: Sequence[str] = (), keep: Sequence[str] = ()) -> None:
        """Take the family of the distribution inside, and the tier's own patterns.

        What a tier keeps counts more than what it drops, and both more than the list.
        """
        listed = [*COMMON, *BY_FAMILY.get(family or "", ())]
        self._keeps = matcher(keep)
        self._to_keep = tuple(os.fsencode(pattern.strip("/")) + b"/" for pattern in keep)
        self._rules: list[tuple[Matcher, Rule]] = [
            (matcher(drop), _OWN),
            *((matcher(rule.patterns), rule) for rule in reversed(listed)),
        ]
        #: What was left out of the layer so far.
        self.left_out: list[LeftOut] = []
        self._ruled = matcher([*drop, *(pattern for rule in listed for pattern in rule.patterns)])

    def clean(self, entry: FileEntry) -> FileEntry | None:
        """Give what the layer holds at an entry's path; ``None`` for nothing.

        Raises:
            SealError: The file cannot be read.
        """
        rule = self._always(entry) or self._unless_kept(entry)
        if rule is None or rule.treatment is Treatment.DROP_MADE_UP:
            return entry
        if rule.treatment is Treatment.DROP:
            if entry.kind is FileKind.DIRECTORY and entry.path in PACKAGE_FOLDERS:
                return entry
            self.leave(entry, rule)
            return None
        if entry.kind is not FileKind.FILE:
            return entry
        if rule.treatment is Treatment.EMPTY:
            if entry.size:
                self.leave(entry, rule)
            return replace(entry, size=0, content=b"", digest=b"", inode=None)
        return _in_order(entry, b"\n" if rule.treatment is Treatment.SORT_LINES else b"\n\n")

    def _always(self, entry: FileEntry) -> Rule | None:
        """What leaves an entry out whatever the tier keeps."""
        if entry.kind is FileKind.SOCKET:
            return _SOCKETS
        return _JOBS if _is_job(entry) else None

    def _unless_kept(self, entry: FileEntry) -> Rule | None:
        rule = self.rule(entry.path)
        if (rule or entry.path.endswith(_BYTE_CODE)) and self.keeps(entry.path):
            return None
        return _IMPORTED if rule is None and _is_unasked_byte_code(entry) else rule

    def keeps(self, path: bytes) -> bool:
        """Say whether the tier keeps a path that would be left out."""
        return self._keeps(path) is not None

    def names_to_keep(self, folder: bytes) -> bool:
        """Say whether the tier names a folder, or something in it, to be kept."""
        return any(pattern.startswith(folder + b"/") for pattern in self._to_keep)

    def leave(self, entry: FileEntry, rule: Rule) -> None:
        """Leave an entry out of the layer, and remember why."""
        self.left_out.append(LeftOut(entry, rule.why, rule.advice))

    def look_at_attributes(self, change: PathChange) -> None:
        """Remember attributes that are new and that no layer has."""
        now, before = change.now, change.before
        if now is not None and now.foreign and (before is None or before.foreign != now.foreign):
            self.leave(now, _ATTRIBUTES)

    def rule(self, path: bytes) -> Rule | None:
        """Say what the list, or the tier, has for a path."""
        if not self._ruled(path):  # as most: one expression says so sooner than all rules
            return None
        return next(rule for matches, rule in self._rules if matches(path))


def settle(changes: Iterable[PathChange], cleaner: Cleaner) -> list[FileEntry]:
    """Give the entries of the layer that makes these changes to its parent, in no particular order.

    What is as the parent has it is left out, unless it is a folder that something else is in: engines give folders
    that a layer does not describe to root alone.

    Raises:
        SealError: A name cannot be in a layer, or a file cannot be read.
    """
    kept: dict[bytes, FileEntry] = {}
    spare: dict[bytes, FileEntry] = {}
    for change in changes:
        if change.before is not None and (change.now is None or change.now.kind is FileKind.SOCKET):
            gone = _whiteout(change.before.path)
            kept[gone.path] = gone
        if change.now is None:
            continue
        cleaner.look_at_attributes(change)
        if change.before is not None and same(change.now, change.before):
            spare[change.now.path] = change.now
            continue
        _check(change.now)
        now = cleaner.clean(change.now)
        if now is not None and not _is_byte_code_folder(now) and not (change.before and same(now, change.before)):
            kept[now.path] = now
        elif now is not None or change.now.kind is FileKind.DIRECTORY:
            spare[change.now.path] = now or change.now
    _leave_made_up(kept, cleaner)
    return [*kept.values(), *_needed(kept, spare)]


def _leave_made_up(kept: dict[bytes, FileEntry], cleaner: Cleaner) -> None:
    for entry in made_up(kept):
        listed = parent(entry.path) + b"/" + entry.target if entry.kind is FileKind.SYMLINK else entry.path
        if (rule := cleaner.rule(listed)) is not None and not cleaner.keeps(listed):
            cleaner.leave(kept.pop(entry.path), rule)


def _needed(kept: dict[bytes, FileEntry], spare: dict[bytes, FileEntry]) -> Iterable[FileEntry]:
    """Find among the rest the folders of what is kept, and other names of files that are kept."""
    inodes = {entry.inode for entry in kept.values() if entry.inode is not None}
    linked = [entry for entry in spare.values() if entry.inode in inodes]
    folders: set[bytes] = set()
    for path in (*kept, *(entry.path for entry in linked)):
        above = parent(path)
        while above and above not in folders:
            folders.add(above)
            above = parent(above)
    return [*linked, *(spare[path] for path in folders if path in spare)]


def _whiteout(path: bytes) -> FileEntry:
    folder, _, name = path.rpartition(b"/")
    return FileEntry(b"/".join(filter(None, (folder, WHITEOUT + name))), FileKind.FILE, mode=0, uid=0, gid=0, mtime=0)


def _check(entry: FileEntry) -> None:
    if entry.path.rpartition(b"/")[2].startswith(WHITEOUT):
        raise SealError(
            f"/{shown(entry.path)} cannot be in an image: engines take names that begin with .wh. for deletions; "
            "give the file another name"
        )


def _is_job(entry: FileEntry) -> bool:
    if not _JOB.fullmatch(entry.path):
        return False
    if _JOB_FOLDER in entry.path.split(b"/"):
        return True
    return entry.kind is FileKind.FILE and next(iter(pieces(entry)), b"").lstrip().startswith(b"{")


def _is_unasked_byte_code(entry: FileEntry) -> bool:
    """Byte code that is checked by its source's time comes from an import while the image was built.

    What packages compile when they are installed is checked by its source's hash, since SOURCE_DATE_EPOCH is set
    (``py_compile``); that stays valid whatever times a layer has.
    """
    if not entry.path.endswith(_BYTE_CODE) or not isinstance(entry.content, Slice):
        return False
    head = next(iter(pieces(entry)), b"")[_PYC_FLAGS]
    return not int.from_bytes(head, "little") & _PYC_HASHED


def _is_byte_code_folder(entry: FileEntry) -> bool:
    return entry.path.rpartition(b"/")[2] == b"__pycache__"


def _in_order(entry: FileEntry, between: bytes) -> FileEntry:
    if entry.size > _LARGEST_SORTED:
        return entry
    parts = sorted(part for part in b"".join(pieces(entry)).strip(b"\n").split(between) if part)
    content = between.join(parts) + b"\n" if parts else b""
    return replace(entry, size=len(content), content=content, digest=b"", inode=None)
