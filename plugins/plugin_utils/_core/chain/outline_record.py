# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The record of a chain that a playbook writes for the command: only Ansible can read an inventory."""

from __future__ import annotations

import msgspec

from .tier import Tier


class ChainOutline(msgspec.Struct, frozen=True):
    """A chain as an inventory describes it."""

    #: The name of the chain.
    chain: str
    #: Its tiers; parents and neighbours come first.
    tiers: tuple[Tier, ...]
