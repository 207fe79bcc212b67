# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what is really in the layers of an image: which paths each writes, and whether its bytes have its digest."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..errors import DamagedError, EngineError, EngineUnavailableError
from ..layer_index.entries import DIRECTORY
from ..layer_index.index import Store
from ..layer_index.merged_files import ChangeKind
from ..transports.image import Stack, open_stack


def written_paths(stack: Stack) -> dict[str, tuple[str, ...]]:
    """Return the absolute paths that each layer of an image adds, changes or removes, by the layer's digest.

    Folders that a layer contains without changing them are left out.
    """
    return {
        layer.digest: tuple(
            f"/{change.path}"
            for change in changes
            if change.kind is not ChangeKind.REPEATED or (change.after and change.after.kind != DIRECTORY)
        )
        for layer, _index, changes, _merged in stack.merge_layers()
    }


def reread(name: str) -> str | None:
    """Read all layers of an image again, and compare their digests.

    Caches are not used, so this takes seconds. It shows whether somebody changed files in the storage of an engine, or
    blobs in a registry.

    Args:
        name: The image, as a user names it (:mod:`..transports.transport`).

    Returns:
        What is wrong, one sentence; ``None`` if each layer has its digest.

    Raises:
        EngineUnavailableError: The engine or registry does not answer.
        NotFoundError: There is no such image.
    """
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        try:
            open_stack(name, Store(Path(folder)))
        except EngineUnavailableError:
            raise
        except (DamagedError, EngineError) as error:
            return str(error)
    return None
