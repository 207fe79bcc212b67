# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was read once: configurations and indexes of layers, by digest.

Content that is named by its digest never changes, so nothing here is ever out of date. It lies in
``$XDG_CACHE_HOME/tierwright``, for the user alone, may be removed at any time, and removes itself what nobody asked for
in :data:`KEPT` seconds.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import user_folders
from ..whole_file import write_whole
from .entry import Entry, Index

#: Seconds after which what nobody asked for is removed: 30 days.
KEPT = 30 * 24 * 3600

#: Raised by one whenever an index says more, or something else, than before.
_FORMAT = "2"


class Store:
    """A folder of what was read."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use ``folder``, or the user's own cache; it is made when something is put there."""
        self._folder = folder or _own()
        self._known: dict[str, Index] = {}
        self._ready: set[Path] = set()

    def index(self, layer: str) -> Index | None:
        """The index of a layer; ``None`` where it is not known."""
        if layer not in self._known:
            found = self._read("layer", layer, _index)
            if found is None:
                return None
            self._known[layer] = found
        return self._known[layer]

    def add(self, index: Index) -> None:
        """Remember a layer."""
        self._known[index.digest] = index
        told = {name: getattr(index, name) for name in index.__slots__}
        kept = {path: base64.b64encode(content).decode() for path, content in index.kept.items()}
        self._write("layer", index.digest, {**told, "kept": kept})

    def value(self, kind: str, identity: str) -> Any:
        """What :meth:`put` was given; ``None`` where it is not known."""
        return self._read(kind, identity, lambda value: value)

    def put(self, kind: str, identity: str, value: Any) -> None:
        """Remember what JSON can hold, by a digest that it can be found out anew from."""
        self._write(kind, identity, value)

    def _read(self, kind: str, identity: str, make: Callable[[Any], Any]) -> Any:
        path = self._path(kind, identity)
        # Whatever is wrong with it: it is only a copy.
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error):
            made = make(json.loads(zlib.decompress(path.read_bytes())))
            if time.time() - path.stat().st_mtime > KEPT / 2:
                os.utime(path)
            return made
        return None

    def _write(self, kind: str, identity: str, value: Any) -> None:
        path = self._path(kind, identity)
        content = zlib.compress(json.dumps(value).encode(), level=1)
        with contextlib.suppress(OSError):  # a full or read-only disk makes things slower, not wrong
            self._prepare(path.parent)
            write_whole(path, content)

    def _prepare(self, folder: Path) -> None:
        """Make a folder, and tidy up before the first one is made."""
        if folder in self._ready:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._ready:
            self._tidy()
        folder.mkdir(parents=True, exist_ok=True)
        self._ready.add(folder)

    def _tidy(self) -> None:
        for path in self._folder.rglob("*"):
            with contextlib.suppress(OSError):  # somebody else was quicker
                if path.is_file() and time.time() - path.stat().st_mtime > KEPT:
                    path.unlink()

    def _path(self, kind: str, identity: str) -> Path:
        return self._folder / _FORMAT / kind / identity.rpartition(":")[2]


def _own() -> Path:
    return user_folders.cache() / "inspect"


def _index(told: dict[str, Any]) -> Index:
    return Index(
        digest=told["digest"],
        size=told["size"],
        entries=tuple(Entry(*each) for each in told["entries"]),
        whiteouts=tuple(told["whiteouts"]),
        opaque=tuple(told["opaque"]),
        databases=told["databases"],
        unread=tuple(told["unread"]),
        kept={path: base64.b64decode(content) for path, content in told["kept"].items()},
    )
