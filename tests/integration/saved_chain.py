"""Saves the state of a chain, in its folder and on the engine, so that tests can restore it."""

from __future__ import annotations

import copy
import shutil
import tempfile
from pathlib import Path

from .conftest import SmallChain


class SavedChain:
    """The current state of a chain: its tiers, their roles, and the image of each name.

    Restoring moves tags, which takes some milliseconds. It is not possible if a test removed an image that had a name.
    """

    def __init__(self, chain: SmallChain) -> None:
        self._chain = chain
        self._tiers = copy.deepcopy(chain.tiers)
        self._names = names_of(chain)
        self._folder = Path(tempfile.mkdtemp(prefix="twtest-"))
        shutil.copytree(chain.folder, self._folder, dirs_exist_ok=True)

    def restore(self) -> SmallChain:
        """Restore the saved state of the chain."""
        chain, engine = self._chain, self._chain.engine
        for name, image in self._names.items():
            assert engine.images.get(image).tag(*name.rsplit(":", 1)), name
        for name in names_of(chain).keys() - self._names.keys():
            engine.images.remove(name)
        chain.tiers = copy.deepcopy(self._tiers)
        shutil.rmtree(chain.folder)
        shutil.copytree(self._folder, chain.folder)
        return chain

    def forget(self) -> None:
        """Remove the saved copy of the folder."""
        shutil.rmtree(self._folder)


def names_of(chain: SmallChain) -> dict[str, str]:
    """The names of the chain's own images, each with the ID of its image."""
    return {
        tag: str(image.id)
        for image in chain.engine.images.list()
        for tag in image.tags
        if tag.startswith(f"{chain.name}/")
    }
