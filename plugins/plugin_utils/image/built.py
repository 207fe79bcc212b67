# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When this machine built an image or a layer.

Nothing of that gets into the image, whose times are those of its sources: it would be another one after every build. It
is remembered on this machine (:mod:`.memory`).
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

from .memory import recall, remember

#: In :mod:`.memory`.
_KIND = "built"


def note_built(*identities: str) -> None:
    """Remember that images or layers, ``sha256:…``, were built now; also where they were before."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for each in identities:
        remember(each, _KIND, now)


def built(identity: str) -> str | None:
    """RFC 3339 time at which an image or a layer was built here the last time; ``None`` where it was not."""
    told = recall(identity, _KIND)
    if isinstance(told, str):
        with contextlib.suppress(ValueError):
            datetime.fromisoformat(told)
            return told
    return None
