# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_seal``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_seal
short_description: Seal the build container of a tier
description:
  - Turns the changes of the role into one layer, and makes the tier's image from the layers of the parent and this layer.
  - O(config) sets the entrypoint, the user and other settings. Settings that it does not contain are inherited from the
    parent.
  - Fails if the layer changes a protected path of an ancestor, if it refers to files that exist only during the build, or
    if the role wrote to a file that no image can contain.
  - Fails if a task of the role, or facts from a module, set the image settings that belong to the inventory.
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
  description: Digests of its layers, beginning with the base.
  returned: success
  type: list
  elements: str
left_out:
  description: Lines about files of the role that are not in the layer, with the reason if it matters.
  returned: success
  type: list
  elements: str
size:
  description: Size of all its layers in bytes.
  returned: success
  type: int
"""
