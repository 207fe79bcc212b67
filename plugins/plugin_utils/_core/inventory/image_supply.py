# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gets the images of a plan that come from registries: those of followed tiers, and those of the shared cache.

Importing this module takes long, because of the library for HTTP. Import it only for a chain that uses registries.
"""

from __future__ import annotations

from collections.abc import Collection

from ..engine.engine import Engine
from ..handover.followed_image import take_followed
from ..handover.image_check import ImageChecker
from ..handover.shared_cache import SharedCache
from ..handover.taking import take_kept
from ..handover.tried_images import find_candidates
from ..plan.decision import Decision
from .chain_inventory import ChainInventory
from .display import say
from .image_checks import make_checker


class ImageSupply:
    """Gets the images of one plan."""

    def __init__(self, inventory: ChainInventory, engine: Engine) -> None:
        """Take the inventory, and the engine that gets the images."""
        self._inventory, self._engine = inventory, engine

    def take_followed(self, decisions: Collection[Decision]) -> None:
        """Get the images of followed tiers. Raises the same errors as :func:`.followed_image.take_followed`."""
        inventory = self._inventory
        take_followed(self._engine, decisions, inventory.used, inventory.registries.reader, say, self._checker())

    def take_kept(self, decisions: Collection[Decision], shared: SharedCache) -> None:
        """Get kept images from the shared cache. Raises the same errors as :func:`.taking.take_kept`."""
        take_kept(self._engine, decisions, shared, say, self._checker())

    def _checker(self) -> ImageChecker:
        return make_checker(self._inventory.policy, self._inventory.registries, say)


def try_candidates(inventory: ChainInventory) -> bool:
    """Let the run try the candidates of other teams. Return whether there are any.

    Raises the same errors as :func:`.tried_images.find_candidates`.
    """
    followed = [tier for tier in inventory.chain if tier.followed]
    inventory.tried = find_candidates(inventory.registries.reader, followed, inventory.locked)
    return bool(inventory.tried)
