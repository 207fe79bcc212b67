"""Chains that are built once and gone back to: what a chain was at one time, in its folder and on the engine."""

from __future__ import annotations

import copy
import shutil
import tempfile
from pathlib import Path

from .conftest import SmallChain


class SavedChain:
    """A chain as it is now: its tiers, their roles, and what each of its names names.

    Going back moves tags, which takes some milliseconds. It is not for tests that remove images which a name still
    names.
    """

    def __init__(self, chain: SmallChain) -> None:
        self._chain = chain
        self._tiers = copy.deepcopy(chain.tiers)
        self._names = names_of(chain)
        self._folder = Path(tempfile.mkdtemp(prefix="twtest-"))
        shutil.copytree(chain.folder, self._folder, dirs_exist_ok=True)

    def restore(self) -> SmallChain:
        """Let the chain be again what it was."""
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
        """Remove the copy of the folder."""
        shutil.rmtree(self._folder)


def names_of(chain: SmallChain) -> dict[str, str]:
    """Every name of the chain's own images, and the image's ID."""
    return {
        tag: str(image.id)
        for image in chain.engine.images.list()
        for tag in image.tags
        if tag.startswith(f"{chain.name}/")
    }
