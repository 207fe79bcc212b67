# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When this machine built an image or a layer.

Nothing of that gets into the image, whose times are those of its sources: it would be another one after every build. It
is remembered by digest, in ``$XDG_STATE_HOME/tierwright/+built``.
"""

from __future__ import annotations

import contextlib
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from ..whole_file import write_whole

#: Seconds after which the time is forgotten: three years.
KEPT = 3 * 365 * 24 * 3600

#: No chain's folder: names of chains have no plus sign there.
_FOLDER = "tierwright/+built"


def note_built(*identities: str) -> None:
    """Remember that images or layers, ``sha256:…``, were built now; also where they were before."""
    now, folder = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), _folder()
    with contextlib.suppress(OSError):  # a build does not fail for what only tells of it
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget(folder)
        for each in identities:
            write_whole(folder / each.rpartition(":")[2], now)


def built(identity: str) -> str | None:
    """RFC 3339 time at which an image or a layer was built here the last time; ``None`` where it was not."""
    with contextlib.suppress(OSError, ValueError):
        told = (_folder() / identity.rpartition(":")[2]).read_text()
        datetime.fromisoformat(told)
        return told
    return None


def _forget(folder: Path) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # somebody else was quicker
            if time.time() - path.stat().st_mtime > KEPT:
                path.unlink()


def _folder() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state", _FOLDER).expanduser()
