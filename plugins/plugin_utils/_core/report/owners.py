# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which tier of a chain must act for a layer or for an outdated package."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ..packages.outdated_packages import Outdated, Update
from ..transports.image import LayerInfo
from .model import ReportTier


class Owners:
    """Finds the tier of the chain that must act for a layer. A layer of a base's image has no tier of its own."""

    def __init__(self, tiers: Iterable[ReportTier]) -> None:
        """Take the tiers of the chain, parents before children."""
        self._by_name: dict[str, ReportTier] = {}
        self._by_layer: dict[str, ReportTier] = {}
        for tier in tiers:
            self._by_name[tier.name] = tier
            for content in tier.content.layers if tier.content else ():
                self._by_layer.setdefault(content.layer.digest, tier)

    def of_layer(self, layer: LayerInfo) -> ReportTier | None:
        """Return the tier that owns a layer, or the lowest one that has it; ``None`` if no tier has it."""
        return self._by_name.get(layer.tier or "") or self._by_layer.get(layer.digest)

    def of_name(self, name: str | None) -> ReportTier | None:
        """Return the tier of a name; ``None`` if the chain has none."""
        return self._by_name.get(name or "")

    def updates(self, outdated: Outdated | None) -> dict[str, list[Update]]:
        """Return the outdated packages by the name of the tier that must act; without those of no tier."""
        found: dict[str, list[Update]] = defaultdict(list)
        for update in outdated.updates if outdated else ():
            if (tier := self.of_layer(update.owner)) is not None:
                found[tier.name].append(update)
        return dict(found)
