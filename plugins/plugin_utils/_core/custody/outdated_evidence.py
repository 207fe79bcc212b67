# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks archives of packages which security updates the tiers of an image miss, and since when, for a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from ..errors import TierwrightError
from ..layer_index.index import Store
from ..local_files import own_reads
from ..packages.apt_archive import Archives
from ..packages.missing_security import MissingSecurity, NotComparedError
from ..packages.update_ages import UpdateAges
from ..packages.update_memory import UpdateMemory
from ..policy.policy import Policy
from ..transports.image import Stack


class OutdatedAnswer(msgspec.Struct, frozen=True):
    """What is known about the security updates that a tier misses."""

    #: By the name of a package, the whole days since its update became available; ``None`` if it is not known.
    days: Mapping[str, int] | None
    #: Why it is not known, a part of a sentence; otherwise empty.
    problem: str = ""


class OutdatedReader:
    """Asks which security updates are missing. Each archive, and each tier of an image, is asked once."""

    def __init__(self, policy: Policy, now: datetime, report: Callable[[str], None] = lambda _line: None) -> None:
        """Take what decides which packages matter.

        Args:
            policy: The policy.
            now: The current time.
            report: Called with a line of progress before each request.
        """
        self._is_limited: Callable[[str], bool] = lambda package: policy.missing_days(package) is not None
        self._archives = Archives(Store(), report)
        self._ages = UpdateAges(self._archives, UpdateMemory(), now)
        self._images: dict[tuple[str, ...], MissingSecurity] = {}
        self._answers: dict[tuple[tuple[str, ...], ...], OutdatedAnswer] = {}

    def read(self, stack: Stack) -> None:
        """Take the layers of an image. No archive is asked yet."""
        layers = stack.document.layers
        if layers not in self._images:
            self._images[layers] = MissingSecurity(stack, self._archives)

    def ask(self, image: tuple[str, ...], below: tuple[str, ...], layers: tuple[str, ...]) -> OutdatedAnswer:
        """Ask which security updates a tier misses.

        Only packages count that the policy limits, that the layers of this tier changed last, and that the image still
        has.

        Args:
            image: Digests of all layers of the image.
            below: Digests of the layers below those of the tier.
            layers: Digests of the layers up to the tier.
        """
        missing = self._images.get(image)
        if missing is None:
            return OutdatedAnswer(None, "its layers were not read")
        if image[: len(layers)] != layers or layers[: len(below)] != below:
            return OutdatedAnswer(None, "its layers are not those of the image")
        request = (image, below, layers)
        if request not in self._answers:
            with own_reads():
                self._answers[request] = self._ask(missing, len(below), len(layers))
        return self._answers[request]

    def _ask(self, missing: MissingSecurity, below: int, count: int) -> OutdatedAnswer:
        try:
            return OutdatedAnswer(self._ages.days(missing.find(below, count, self._is_limited)))
        except (NotComparedError, TierwrightError) as error:
            return OutdatedAnswer(None, str(error))
