# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the image whose records a user means: by its tier, by its digest, or by its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..layer_index.index import Store
from ..transports.transport import open_place, split

if TYPE_CHECKING:
    from ..custody.record_store import LocalRecords

_START = re.compile(r"(?:sha256:)?([0-9a-f]{12,64})", re.ASCII)
_DIGITS = 64


def find_config(records: LocalRecords, name: str) -> str:
    """Return ``sha256:…`` of the configuration of an image.

    Args:
        records: The store.
        name: A tier, whose newest image with records is meant; the digest of a configuration, or its beginning; or the
            name of an image.

    Raises:
        UsageError: The name has a wrong form, or it means several images.
        NotFoundError: There is no such image.
        EngineError: The engine or a registry does not answer.
    """
    from ..custody.stored_statements import recorded_images  # noqa: PLC0415 - `tierwright --help` imports all verbs

    chains = recorded_images(records, name)
    if len(chains) > 1:
        newest = ", ".join(f"{chain}: {images[0][1]}" for chain, images in sorted(chains.items()))
        raise UsageError(f"tier {name!r} is in several chains; name one of these images instead: {newest}")
    for images in chains.values():
        return images[0][1]
    if match := _START.fullmatch(name):
        found = [config for config in records.configs() if config.startswith(f"sha256:{match[1]}")]
        if len(found) > 1:
            raise UsageError(f"{name!r} is the beginning of {len(found)} images; write more of it")
        if found or len(match[1]) == _DIGITS:
            return found[0] if found else f"sha256:{match[1]}"
    kind, location, reference = split(name)
    return open_place(kind, location, Store()).find(reference).id
