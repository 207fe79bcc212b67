# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_base``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_base
short_description: Make the image of a base
description:
  - Makes the image of a base, a tier without a parent, from C(tier_bootstrap), C(tier_import) or C(tier_pull).
  - The image gets its content tag. P(tierwright.chain.tier_promote#module) moves its release tag later.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
extends_documentation_fragment:
  - tierwright.chain.tier
  - tierwright.chain.tier.config
"""

EXAMPLES = r"""
- name: Make the base from its source
  tierwright.chain.tier_base:
    run: "{{ chain_plan.run }}"
"""

RETURN = r"""
image:
  description: ID of the image.
  returned: success
  type: str
"""
