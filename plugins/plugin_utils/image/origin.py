# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a build container was started from, path by path: the tree that its parent's image has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from .entry import Entry, Kind, parent


class Origin(Protocol):
    """A tree that can be looked at; links are not followed."""

    def look(self, path: bytes) -> Entry | None:
        """Give what is at ``path``; ``None`` where nothing is."""

    def listed(self, folder: bytes) -> Iterable[Entry]:
        """Give what is directly in ``folder``, in no particular order; nothing where that is no folder."""


class Known:
    """An origin whose entries are all known."""

    def __init__(self, entries: Mapping[bytes, Entry]) -> None:
        """Take the entries by path."""
        self._entries = entries
        self._inside: dict[bytes, list[Entry]] = {}

    def look(self, path: bytes) -> Entry | None:
        """See :class:`Origin`."""
        return self._entries.get(path)

    def listed(self, folder: bytes) -> Iterable[Entry]:
        """See :class:`Origin`."""
        if not self._inside:
            for path, entry in self._entries.items():
                self._inside.setdefault(parent(path), []).append(entry)
        return self._inside.get(folder, ())


class Laid:
    """An origin with a layer on it: the tree of the image that it makes."""

    def __init__(self, origin: Origin, layer: Mapping[bytes, Entry | None]) -> None:
        """Take the layer's entries by path; ``None`` where it removes one."""
        self._origin, self._layer = origin, layer
        self._inside: dict[bytes, list[bytes]] = {}
        for path in layer:
            self._inside.setdefault(parent(path), []).append(path)

    def look(self, path: bytes) -> Entry | None:
        """See :class:`Origin`."""
        if path in self._layer:
            return self._layer[path]
        above = parent(path)
        while above:
            if above in self._layer and not _is_folder(self._layer[above]):
                return None
            above = parent(above)
        return self._origin.look(path)

    def listed(self, folder: bytes) -> Iterable[Entry]:
        """See :class:`Origin`."""
        if folder and not _is_folder(self.look(folder)):
            return []
        paths = {entry.path for entry in self._origin.listed(folder)} | set(self._inside.get(folder, ()))
        return [entry for entry in map(self.look, paths) if entry is not None]


def _is_folder(entry: Entry | None) -> bool:
    return entry is not None and entry.kind is Kind.DIRECTORY


def below(origin: Origin, folder: bytes) -> Iterator[Entry]:
    """Yield all that is below a folder."""
    waiting = [folder]
    while waiting:
        for entry in origin.listed(waiting.pop()):
            yield entry
            if entry.kind is Kind.DIRECTORY:
                waiting.append(entry.path)
