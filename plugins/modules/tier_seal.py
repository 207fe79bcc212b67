# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_seal``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_seal
short_description: Seal the build container of a tier
description:
  - Turns what the role changed into one layer, on the layers of the parent, and that into the tier's image.
  - Entrypoint, user and the like are what O(config) says, else what the parent's are.
  - Fails where the layer touches what a tier below protects, refers to what is there only while it is built, or where
    the role wrote to a file that no image can hold.
  - Fails where a module's answer or a task of the role set what the inventory says of the image.
  - Removes the build container.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
extends_documentation_fragment:
  - tierwright.chain.tier
  - tierwright.chain.tier.config
"""

EXAMPLES = r"""
- name: Seal the layer
  tierwright.chain.tier_seal:
    run: "{{ chain_plan.run }}"
    config:
      user: "1001"
      ports: [8080/tcp]
    protects: [/etc/ssl, /etc/motd]
"""

RETURN = r"""
image:
  description: ID of the image.
  returned: success
  type: str
layers:
  description: Digests of its layers, the base's first.
  returned: success
  type: list
  elements: str
left_out:
  description: What the role left and the layer does not hold, and where it matters why, each a line for people.
  returned: success
  type: list
  elements: str
size:
  description: Bytes of all its layers.
  returned: success
  type: int
"""
