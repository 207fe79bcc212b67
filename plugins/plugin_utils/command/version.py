# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which version this is, however it was installed."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

_COLLECTION = Path(__file__).parents[3]


def version(collection: Path = _COLLECTION) -> str:
    """Read the collection's version: from ``MANIFEST.json`` where ansible-galaxy installed it, else ``galaxy.yml``.

    Args:
        collection: The collection's folder.

    Returns:
        The version; ``unknown`` where neither file tells.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((collection / "MANIFEST.json").read_text())["collection_info"]["version"])
    with suppress(OSError):
        found = re.search(r"^version: *(\S+)$", (collection / "galaxy.yml").read_text(), re.MULTILINE)
        return found[1] if found else "unknown"
    return "unknown"
