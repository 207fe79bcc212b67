# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes what checks images of others, from the policy of a chain or a site."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from ..custody.policy_check import PolicyCheck
from ..handover.image_check import ImageChecker
from ..policy.policy import Policy
from ..transports.registries import Registries


def make_checker(policy: Policy | None, registries: Registries, say: Callable[[str], None]) -> ImageChecker:
    """Return what checks images of others.

    Args:
        policy: The policy; ``None`` if there is none.
        registries: The registries.
        say: Called with lines to print.
    """
    if policy is None:
        return ImageChecker(registries.reader, say)
    check = PolicyCheck(policy, datetime.now(UTC))
    return ImageChecker(registries.reader, say, check.image, check.release, check.read_layers)
