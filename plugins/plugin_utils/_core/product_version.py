# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The version of this collection."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

_COLLECTION = Path(__file__).parents[3]


def version(collection: Path = _COLLECTION) -> str:
    """Return the version of the collection.

    It is in ``MANIFEST.json`` if ansible-galaxy installed the collection, otherwise in ``galaxy.yml``.

    Args:
        collection: The collection's folder.

    Returns:
        The version; ``unknown`` if neither file contains it.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((collection / "MANIFEST.json").read_text())["collection_info"]["version"])
    with suppress(OSError):
        match = re.search(r"^version: *(\S+)$", (collection / "galaxy.yml").read_text(), re.MULTILINE)
        return match[1] if match else "unknown"
    return "unknown"
