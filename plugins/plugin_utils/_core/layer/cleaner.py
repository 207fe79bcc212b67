# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the entries of a layer from the changes of a build.

Paths that :mod:`.residue` or the tier lists are left out, and so are paths that are the same as in the parent.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..errors import SealError
from .build_memory import LeftOut
from .file_entry import WHITEOUT, FileEntry, FileKind, PathChange, Slice, parent, pieces, printable_path, same
from .paths import Matcher, matcher
from .residue import BY_FAMILY, COMMON, PACKAGE_FOLDERS, Rule, Treatment
from .snakeoil import generated_pair

#: Size limit in bytes of files that are sorted in memory. Larger files are not sorted.
_MAX_SORTED = 64 << 20

#: Position of Python's flags in byte code. Bit 0 means that the byte code is validated by its source's hash (PEP 552).
_PYC_FLAGS = slice(4, 8)
_PYC_HASHED = 1

_BYTE_CODE = b".pyc"

#: Files in which Ansible's ``async_wrapper`` stores the result of a task, in any folder. They may contain values that
#: ``no_log`` hides.
_JOB = re.compile(rb"(?:.*/)?(?:\.ansible_async(?:/.*)?|j\d{1,12}\.\d+(?:\.tmp)?)", re.DOTALL)
_JOB_FOLDER = b".ansible_async"

_JOBS = Rule(Treatment.DROP, "results of asynchronous tasks", ())
_IMPORTED = Rule(Treatment.DROP, "byte code of imported modules", ())
_SOCKETS = Rule(
    Treatment.DROP,
    "a layer cannot contain sockets",
    (),
    "let the program that listens on it create it when a container starts",
)
_ATTRIBUTES = Rule(
    Treatment.DROP,
    "a layer does not contain extended attributes of users",
    (),
    "do not use them in the role, or set them when a container starts",
)
_TIER_DROP = Rule(Treatment.DROP, "named by tier_drop", (), "remove it from the tier's tier_drop to keep it")


class Cleaner:
    """Decides for the paths of one tier what the layer contains, and collects what it leaves out."""

    def __init__(self, family: str | None, drop: Sequence[str] = (), keep: Sequence[str] = ()) -> None:
        """Take the family of the image's distribution, and the patterns of ``tier_drop`` and ``tier_keep``.

        ``keep`` has precedence over ``drop``, and both have precedence over the list of :mod:`.residue`.
        """
        rules = [*COMMON, *BY_FAMILY.get(family or "", ())]
        self._keeps = matcher(keep)
        self._keep_prefixes = tuple(os.fsencode(pattern.strip("/")) + b"/" for pattern in keep)
        self._rules: list[tuple[Matcher, Rule]] = [
            (matcher(drop), _TIER_DROP),
            *((matcher(rule.patterns), rule) for rule in reversed(rules)),
        ]
        #: Paths that have been left out of the layer so far.
        self.left_out: list[LeftOut] = []
        self._has_rule = matcher([*drop, *(pattern for rule in rules for pattern in rule.patterns)])

    def clean(self, entry: FileEntry) -> FileEntry | None:
        """Return the layer's entry for a changed path; ``None`` if the layer has none.

        Raises:
            SealError: The file cannot be read.
        """
        rule = self._fixed_rule(entry) or self._rule_unless_kept(entry)
        if rule is None or rule.treatment is Treatment.DROP_GENERATED:
            return entry
        if rule.treatment is Treatment.DROP:
            if entry.kind is FileKind.DIRECTORY and entry.path in PACKAGE_FOLDERS:
                return entry
            self.leave_out(entry, rule)
            return None
        if entry.kind is not FileKind.FILE:
            return entry
        if rule.treatment is Treatment.EMPTY:
            if entry.size:
                self.leave_out(entry, rule)
            return replace(entry, size=0, content=b"", digest=b"", inode=None)
        return _sorted(entry, b"\n" if rule.treatment is Treatment.SORT_LINES else b"\n\n")

    def _fixed_rule(self, entry: FileEntry) -> Rule | None:
        """Return the rule that leaves an entry out even if ``tier_keep`` names it."""
        if entry.kind is FileKind.SOCKET:
            return _SOCKETS
        return _JOBS if _is_job(entry) else None

    def _rule_unless_kept(self, entry: FileEntry) -> Rule | None:
        rule = self.rule(entry.path)
        if (rule or entry.path.endswith(_BYTE_CODE)) and self.keeps(entry.path):
            return None
        return _IMPORTED if rule is None and _is_byte_code_of_import(entry) else rule

    def keeps(self, path: bytes) -> bool:
        """Tell whether ``tier_keep`` covers a path."""
        return self._keeps(path) is not None

    def keeps_inside(self, folder: bytes) -> bool:
        """Tell whether ``tier_keep`` names a folder or a path in it."""
        return any(pattern.startswith(folder + b"/") for pattern in self._keep_prefixes)

    def leave_out(self, entry: FileEntry, rule: Rule) -> None:
        """Add an entry, with the reason, to the paths that are left out of the layer."""
        self.left_out.append(LeftOut(entry, rule.why, rule.advice))

    def note_lost_attributes(self, change: PathChange) -> None:
        """Note a path with new extended attributes that a layer does not carry."""
        now, before = change.now, change.before
        if now is not None and now.foreign and (before is None or before.foreign != now.foreign):
            self.leave_out(now, _ATTRIBUTES)

    def rule(self, path: bytes) -> Rule | None:
        """Return the rule of the tier, or else of the list, for a path; ``None`` if there is no rule."""
        if not self._has_rule(path):  # true for most paths; one expression is faster than one for each rule
            return None
        return next(rule for matches, rule in self._rules if matches(path))


def layer_entries(changes: Iterable[PathChange], cleaner: Cleaner) -> list[FileEntry]:
    """Return the entries of the layer that makes these changes to its parent, in no particular order.

    Paths that are the same as in the parent are left out, except folders that contain other entries: if a layer does
    not describe a folder, engines create it as root's, and only root can write to it.

    Raises:
        SealError: The name of a file is not possible in a layer, or a file cannot be read.
    """
    kept: dict[bytes, FileEntry] = {}
    spare: dict[bytes, FileEntry] = {}
    for change in changes:
        if change.before is not None and (change.now is None or change.now.kind is FileKind.SOCKET):
            whiteout = _whiteout(change.before.path)
            kept[whiteout.path] = whiteout
        if change.now is None:
            continue
        cleaner.note_lost_attributes(change)
        if change.before is not None and same(change.now, change.before):
            spare[change.now.path] = change.now
            continue
        _check(change.now)
        now = cleaner.clean(change.now)
        if now is not None and not _is_byte_code_folder(now) and not (change.before and same(now, change.before)):
            kept[now.path] = now
        elif now is not None or change.now.kind is FileKind.DIRECTORY:
            spare[change.now.path] = now or change.now
    _leave_out_generated_pair(kept, cleaner)
    return [*kept.values(), *_needed(kept, spare)]


def _leave_out_generated_pair(kept: dict[bytes, FileEntry], cleaner: Cleaner) -> None:
    for entry in generated_pair(kept):
        path = parent(entry.path) + b"/" + entry.target if entry.kind is FileKind.SYMLINK else entry.path
        if (rule := cleaner.rule(path)) is not None and not cleaner.keeps(path):
            cleaner.leave_out(kept.pop(entry.path), rule)


def _needed(kept: dict[bytes, FileEntry], spare: dict[bytes, FileEntry]) -> Iterable[FileEntry]:
    """Return the spare entries that the layer needs: folders of kept entries, and other names of kept files."""
    inodes = {entry.inode for entry in kept.values() if entry.inode is not None}
    linked = [entry for entry in spare.values() if entry.inode in inodes]
    folders: set[bytes] = set()
    for path in (*kept, *(entry.path for entry in linked)):
        folder = parent(path)
        while folder and folder not in folders:
            folders.add(folder)
            folder = parent(folder)
    return [*linked, *(spare[path] for path in folders if path in spare)]


def _whiteout(path: bytes) -> FileEntry:
    folder, _, name = path.rpartition(b"/")
    return FileEntry(b"/".join(filter(None, (folder, WHITEOUT + name))), FileKind.FILE, mode=0, uid=0, gid=0, mtime=0)


def _check(entry: FileEntry) -> None:
    if entry.path.rpartition(b"/")[2].startswith(WHITEOUT):
        raise SealError(
            f"/{printable_path(entry.path)} cannot be in an image: engines interpret names that begin with .wh. as "
            "deletions; give the file a different name"
        )


def _is_job(entry: FileEntry) -> bool:
    if not _JOB.fullmatch(entry.path):
        return False
    if _JOB_FOLDER in entry.path.split(b"/"):
        return True
    return entry.kind is FileKind.FILE and next(iter(pieces(entry)), b"").lstrip().startswith(b"{")


def _is_byte_code_of_import(entry: FileEntry) -> bool:
    """Tell whether byte code comes from an import during the build.

    Such byte code is validated by the time of its source. Packages compile theirs when they are installed. It is
    validated by the source's hash, because SOURCE_DATE_EPOCH is set (``py_compile``), and stays valid with any times
    in the layer.
    """
    if not entry.path.endswith(_BYTE_CODE) or not isinstance(entry.content, Slice):
        return False
    head = next(iter(pieces(entry)), b"")[_PYC_FLAGS]
    return not int.from_bytes(head, "little") & _PYC_HASHED


def _is_byte_code_folder(entry: FileEntry) -> bool:
    return entry.path.rpartition(b"/")[2] == b"__pycache__"


def _sorted(entry: FileEntry, separator: bytes) -> FileEntry:
    if entry.size > _MAX_SORTED:
        return entry
    parts = sorted(part for part in b"".join(pieces(entry)).strip(b"\n").split(separator) if part)
    content = separator.join(parts) + b"\n" if parts else b""
    return replace(entry, size=len(content), content=content, digest=b"", inode=None)
