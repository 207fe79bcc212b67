# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The images of an engine at one moment: one question to the engine, however many are looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..chain.reference import familiar
from .image import Identity

#: Image IDs by tag, by repository.
Names = Mapping[str, Mapping[str, str]]

#: How Docker until 24 names an image that has no name.
_NAMELESS = "<none>:<none>"


class Snapshot:
    """Images as they were named when the snapshot was taken; :meth:`.Images.snapshot` takes one."""

    def __init__(self, images: Iterable[tuple[Identity, Sequence[str]]]) -> None:
        """Take images and the names of each, as an engine tells them."""
        images = list(images)
        named = {name: image for image, names in images for name in names if name != _NAMELESS and "@" not in name}
        # Docker can hold localhost/web and web at once, so the name as it stands goes before the familiar one.
        self._named = {familiar(name): image for name, image in named.items()} | named
        self._images = {image.id: image for image, _names in images}

    def find(self, reference: str) -> Identity | None:
        """Look an image up by a name with a tag, or by its ID; ``None`` where there was none."""
        return self._named.get(reference) or self._named.get(familiar(reference)) or self._images.get(reference)

    @property
    def labels(self) -> list[Mapping[str, str]]:
        """Labels of every image."""
        return [image.labels for image in self._images.values()]

    @property
    def names(self) -> Names:
        """Every name, as people write it."""
        found: dict[str, dict[str, str]] = {}
        for reference in self._named:
            repository, _, tag = familiar(reference).rpartition(":")
            found.setdefault(repository, {})[tag] = self._named[familiar(reference)].id
        return found
