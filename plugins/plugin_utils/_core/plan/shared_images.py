# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a plan asks a shared cache: images that another machine has built and tested."""

from __future__ import annotations

from typing import Protocol

from ..build_key.parts import Parts
from ..chain.tier import Tier
from ..engine.inspection import Identity


class SharedImages(Protocol):
    """Images that were built elsewhere. Methods raise no errors: without an answer, a tier is built."""

    def find(self, tier: Tier, parts: Parts) -> Identity | None:
        """Look up an image of a tier.

        Args:
            tier: The tier.
            parts: The parts of its key, without the sources that its role used.
        """

    def has_passed(self, tier: Tier, image: str, tag: str) -> bool:
        """Say whether an image has a ``tested-…`` tag there."""
