# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What this machine remembers of a layer or an image that it built, beside what the image says.

It would make another image of the same inputs, so it lies in ``$XDG_STATE_HOME/tierwright/+layers``, by the digest, and
is forgotten after a year.
"""

from __future__ import annotations

import contextlib
import json
import time
import zlib
from pathlib import Path
from typing import Any

from .. import user_folders
from ..whole_file import write_whole

#: Seconds after which it is forgotten: a year.
KEPT = 365 * 24 * 3600

#: No chain's folder: names of chains have no plus sign there.
_FOLDER = "+layers"


def remember(layer: str, kind: str, told: Any) -> None:
    """Remember something of a layer. Where it cannot be written, it is not: a build does not fail for that.

    Args:
        layer: ``sha256:…`` of the uncompressed layer, or the image's ID.
        kind: What it is; empty for its tasks.
        told: What JSON can hold.
    """
    folder = _folder()
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget(folder)
        write_whole(folder / _name(layer, kind), zlib.compress(json.dumps(told).encode()))


def recall(layer: str, kind: str) -> Any:
    """Give what was remembered; ``None`` where nothing was, or where it is damaged."""
    with contextlib.suppress(OSError, ValueError, zlib.error):
        return json.loads(zlib.decompress((_folder() / _name(layer, kind)).read_bytes()))
    return None


def _name(layer: str, kind: str) -> str:
    return ".".join(filter(None, (layer.rpartition(":")[2], kind)))


def _forget(folder: Path) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # somebody else was quicker
            if time.time() - path.stat().st_mtime > KEPT:
                path.unlink()


def _folder() -> Path:
    return user_folders.state() / _FOLDER
