# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.chain_outline``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: chain_outline
short_description: Read the graph of a chain
description:
  - Reads the tiers of the inventory, their parents, teams and images, and checks them.
  - The command C(tierwright ci) asks it. Nothing is changed, and no engine is asked.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
options:
  dest:
    description: A file for the answer as JSON.
    type: path
attributes:
  check_mode:
    description: Can run in check mode and return what would change, without changing anything.
    support: full
  diff_mode:
    description: Returns what changed in diff mode.
    support: none
"""

EXAMPLES = r"""
- name: Read the tiers
  tierwright.chain.chain_outline:
  register: chain
  run_once: true
"""

RETURN = r"""
chain:
  description: The name of the chain.
  returned: success
  type: str
  sample: shop
tiers:
  description: The names of its tiers; parents come before children.
  returned: success
  type: list
  elements: str
  sample: [base, corebuild, httpd-php]
"""
