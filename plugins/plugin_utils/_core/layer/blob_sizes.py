# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Remembers the sizes of configurations and uncompressed layers. The manifest of an image contains them.

An engine with Docker's own store does not tell these sizes. Whoever makes or exports an image knows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .build_memory import recall, remember

_SIZE = "size"


def remember_sizes(sizes: Mapping[str, int]) -> None:
    """Store sizes in bytes, by the digest of the uncompressed blob. An error while writing is ignored."""
    for digest, size in sizes.items():
        if recall(digest, _SIZE) != size:
            remember(digest, _SIZE, size)


def recall_sizes(digests: Iterable[str]) -> dict[str, int]:
    """Return the sizes that are known, in bytes, by digest."""
    sizes = ((digest, recall(digest, _SIZE)) for digest in dict.fromkeys(digests))
    return {digest: size for digest, size in sizes if isinstance(size, int) and size > 0}
