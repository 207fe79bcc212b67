# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.chain_remove``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: chain_remove
short_description: Remove a whole chain from the engine
description:
  - Removes all images that were made for the chain's tiers, in the repositories of these tiers, even released ones. Removes
    the build containers that its runs left.
  - Use it for trial chains, such as those of Molecule. For a chain that stays in use, use
    P(tierwright.chain.chain_prune#module).
  - Does not remove images that images of other chains are based on, or that a container was made from.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
extends_documentation_fragment:
  - tierwright.chain.tier.lock
options:
  chain:
    description: Name of the chain. It must be the chain of the inventory, so that nothing is removed by mistake.
    type: str
    required: true
attributes:
  check_mode:
    description: Can run in check mode and return what would change, without changing anything.
    support: none
  diff_mode:
    description: Returns what changed in diff mode.
    support: none
"""

EXAMPLES = r"""
- name: Remove the trial chain
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
