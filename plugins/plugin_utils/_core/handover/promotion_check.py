# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks images before they are released, with the records of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..custody.image_identity import ImageIdentity
from ..layer_index.index import Store
from ..transports.image import Stack, open_in
from ..transports.transport import Place
from .image_check import ImageChecker


class PromotionCheck:
    """Refuses images that the policy does not allow, before their release tags move."""

    def __init__(self, checker: ImageChecker, place: Place) -> None:
        """Take what refuses images, and where they are."""
        self._checker, self._place = checker, place

    def __call__(self, images: Sequence[ImageIdentity]) -> None:
        """Check images, the ancestors first.

        Raises:
            TrustError: The policy refuses one. The message names the tier, and says that nothing is promoted.
        """
        for image in images:
            subject = f"tier {image.reference!r} is not promoted, and no tag moved"
            self._checker.check_local(image, subject, partial(self._open, image))

    def _open(self, image: ImageIdentity, store: Store) -> Stack:
        return open_in(self._place, self._place.find(image.config), store, image.reference)
