# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what is really in the layers of an image: which paths each writes, and whether its bytes have its digest."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..errors import DamagedError, EngineError, EngineUnavailableError
from ..layer_index.entries import DIRECTORY
from ..layer_index.index import Store
from ..layer_index.merged_files import ChangeKind, LayerChange
from ..transports.image import Stack, open_stack
from .package_claims import PackageClaim, dpkg_packages, find_claims


class LayerReader:
    """Reads the layers of images. A layer is read once for all images that have it on the same layers."""

    def __init__(self) -> None:
        """Start without any layer."""
        self._written: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._claims: dict[tuple[str, ...], list[PackageClaim]] = {}

    def read(self, stack: Stack) -> None:
        """Read all layers of an image."""
        layers = stack.document.layers
        if layers in self._written:
            return
        packages: dict[str, str] = {}
        for number, (layer, index, changes, _merged) in enumerate(stack.merge_layers(), 1):
            self._written[layers[:number]] = tuple(f"/{each.path}" for each in changes if not _is_same_folder(each))
            self._claims[layers[:number]] = find_claims(layer, index, changes, packages)
            found = dpkg_packages(index)
            packages = packages if found is None else found

    def written(self, layers: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return the absolute paths that the last of some layers adds, changes or removes; ``None`` if it was not read.

        Folders that a layer contains without changing them are left out.
        """
        return self._written.get(layers)

    def claims(self, layers: tuple[str, ...]) -> list[PackageClaim]:
        """Return the packages that the last of some layers claims, and did not install."""
        return self._claims.get(layers, [])


def _is_same_folder(change: LayerChange) -> bool:
    return change.kind is ChangeKind.REPEATED and change.after is not None and change.after.kind == DIRECTORY


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
