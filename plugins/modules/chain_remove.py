# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.chain_remove``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: chain_remove
short_description: Remove everything of a chain from the engine
description:
  - Removes all images of the chain's tiers that are in the repositories of these tiers and were made for it, released
    ones too, and the build containers that its runs left.
  - Is for chains that were made for a trial, such as those of Molecule. P(tierwright.chain.chain_prune#module) clears up
    a chain that goes on.
  - What images of other chains stand on, or a container was made from, stays.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
extends_documentation_fragment:
  - tierwright.chain.tier.lock
options:
  chain:
    description: Name of the chain. It has to be that of the inventory, so that nothing is removed by mistake.
    type: str
    required: true
attributes:
  check_mode:
    description: Can run in check mode and return what would be, without changing anything.
    support: none
  diff_mode:
    description: Returns what changed in diff mode.
    support: none
"""

EXAMPLES = r"""
- name: Remove what the trial made
  tierwright.chain.chain_remove:
    chain: trial
  run_once: true
"""

RETURN = r"""
images:
  description: IDs of the removed images.
  returned: success
  type: list
  elements: str
"""
