# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be said of a file, and how two states of one differ."""

from __future__ import annotations

from dataclasses import dataclass

from .entry import FILE, HARDLINK, Entry


@dataclass(frozen=True, slots=True)
class State:
    """A file, folder or link as it is in one image."""

    kind: str
    #: Four octal digits: ``0644``.
    mode: str
    uid: int
    gid: int
    #: Bytes of content.
    size: int
    #: ``sha256:…`` of the content; ``null`` for what has none.
    digest: str | None
    #: Where a link leads; ``null`` for what is none.
    target: str | None


def state(entry: Entry) -> State:
    """Say what there is to say of an entry."""
    mode = f"{entry.mode:04o}"
    return State(entry.kind, mode, entry.uid, entry.gid, entry.size, entry.digest or None, entry.target or None)


def differences(before: Entry, after: Entry) -> list[str]:
    """Name what differs: ``type``, ``content``, ``target``, ``mode``, ``owner``."""
    found = []
    if _kind(before) != _kind(after):
        found.append("type")
    elif _kind(after) == FILE and before.digest != after.digest:
        found.append("content")
    elif _kind(after) != FILE and before.target != after.target:
        found.append("target")
    if before.mode != after.mode:
        found.append("mode")
    if (before.uid, before.gid) != (after.uid, after.gid):
        found.append("owner")
    return found


def _kind(entry: Entry) -> str:
    return FILE if entry.kind == HARDLINK else entry.kind
