# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes out of a build's changes what :mod:`.residue` lists, and what says nothing new; the rest is the layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..errors import SealError
from .entry import WHITEOUT, Change, Entry, Kind, Slice, parent, pieces, same, shown
from .patterns import matcher
from .residue import BY_FAMILY, COMMON, PACKAGE_FOLDERS, Treatment

#: Largest file that is read into memory to be put in order.
_LARGEST_SORTED = 64 << 20

#: Python's own flags of byte code: bit 0 says that it is checked by its source's hash (PEP 552).
_PYC_FLAGS = slice(4, 8)
_PYC_HASHED = 1

_BYTE_CODE = b".pyc"


class Cleaner:
    """What becomes of each path of one tier."""

    def __init__(self, family: str | None, drop: Sequence[str] = (), keep: Sequence[str] = ()) -> None:
        """Take the family of the distribution inside, and the tier's own patterns.

        What a tier keeps counts more than what it drops, and both more than the list.
        """
        listed = [*COMMON, *BY_FAMILY.get(family or "", ())]
        own = (matcher(drop), Treatment.DROP)
        self._keeps = matcher(keep)
        self._rules = [own, *((matcher(rule.patterns), rule.treatment) for rule in reversed(listed))]
        self._ruled = matcher([*drop, *(pattern for rule in listed for pattern in rule.patterns)])

    def clean(self, entry: Entry) -> Entry | None:
        """Give what the layer holds at an entry's path; ``None`` for nothing.

        Raises:
            SealError: The file cannot be read.
        """
        treatment = self._treatment(entry.path)
        if (treatment or entry.path.endswith(_BYTE_CODE)) and self._keeps(entry.path):
            return entry
        if treatment is Treatment.DROP:
            return entry if entry.kind is Kind.DIRECTORY and entry.path in PACKAGE_FOLDERS else None
        if entry.kind is not Kind.FILE:
            return entry
        if treatment is None:
            return None if _is_unasked_byte_code(entry) else entry
        if treatment is Treatment.EMPTY:
            return replace(entry, size=0, content=b"", digest=b"", inode=None)
        return _in_order(entry, b"\n" if treatment is Treatment.SORT_LINES else b"\n\n")

    def _treatment(self, path: bytes) -> Treatment | None:
        if not self._ruled(path):  # as most: one expression says so sooner than all rules
            return None
        return next(treatment for matches, treatment in self._rules if matches(path))


def settle(changes: Iterable[Change], cleaner: Cleaner) -> list[Entry]:
    """Give the entries of the layer that makes these changes to its parent, in no particular order.

    What is as the parent has it is left out, unless it is a folder that something else is in: engines give folders
    that a layer does not describe to root alone.

    Raises:
        SealError: A name cannot be in a layer, or a file cannot be read.
    """
    kept: dict[bytes, Entry] = {}
    spare: dict[bytes, Entry] = {}
    for change in changes:
        if change.now is None:
            if change.before is not None:
                gone = _whiteout(change.before.path)
                kept[gone.path] = gone
            continue
        if change.before is not None and same(change.now, change.before):
            spare[change.now.path] = change.now
            continue
        _check(change.now)
        now = cleaner.clean(change.now)
        if now is not None and not _is_byte_code_folder(now) and not (change.before and same(now, change.before)):
            kept[now.path] = now
        elif now is not None or change.now.kind is Kind.DIRECTORY:
            spare[change.now.path] = now or change.now
    return [*kept.values(), *_needed(kept, spare)]


def _needed(kept: dict[bytes, Entry], spare: dict[bytes, Entry]) -> Iterable[Entry]:
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


def _whiteout(path: bytes) -> Entry:
    folder, _, name = path.rpartition(b"/")
    return Entry(b"/".join(filter(None, (folder, WHITEOUT + name))), Kind.FILE, mode=0, uid=0, gid=0, mtime=0)


def _check(entry: Entry) -> None:
    if entry.path.rpartition(b"/")[2].startswith(WHITEOUT):
        raise SealError(
            f"/{shown(entry.path)} cannot be in an image: engines take names that begin with .wh. for deletions; "
            "give the file another name"
        )


def _is_unasked_byte_code(entry: Entry) -> bool:
    """Byte code that is checked by its source's time comes from an import while the image was built.

    What packages compile when they are installed is checked by its source's hash, since SOURCE_DATE_EPOCH is set
    (``py_compile``); that stays valid whatever times a layer has.
    """
    if not entry.path.endswith(_BYTE_CODE) or not isinstance(entry.content, Slice):
        return False
    head = next(iter(pieces(entry)), b"")[_PYC_FLAGS]
    return not int.from_bytes(head, "little") & _PYC_HASHED


def _is_byte_code_folder(entry: Entry) -> bool:
    return entry.path.rpartition(b"/")[2] == b"__pycache__"


def _in_order(entry: Entry, between: bytes) -> Entry:
    if entry.size > _LARGEST_SORTED:
        return entry
    parts = sorted(part for part in b"".join(pieces(entry)).strip(b"\n").split(between) if part)
    content = between.join(parts) + b"\n" if parts else b""
    return replace(entry, size=len(content), content=content, digest=b"", inode=None)
