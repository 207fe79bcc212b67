# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tests of one tier, as a playbook tells them to ``tierwright test``."""

from __future__ import annotations

import msgspec

from ..contract.role_tests import Suite


class SuiteAnswer(msgspec.Struct, frozen=True):
    """The tests of a tier, and the images that they need."""

    tier: str
    suite: Suite
    #: The release of the tier.
    release: str
    #: The releases of its neighbours, by tier.
    neighbours: dict[str, str]
