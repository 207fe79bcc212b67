# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_discard``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_discard
short_description: Give up a failed tier
description:
  - Removes the build container, records the failure so that waiting children stop, and fails.
  - If M(tierwright.chain.tier_start) was asked to keep the containers of failed builds, it stops the container instead.
  - Use it in C(rescue).
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
extends_documentation_fragment:
  - tierwright.chain.tier
options:
  task:
    description: Name of the task that failed.
    type: str
    default: ""
  message:
    description: Error message of the task.
    type: str
    default: failed
"""

EXAMPLES = r"""
- name: Give up the tier
  tierwright.chain.tier_discard:
    run: "{{ chain_plan.run }}"
    task: "{{ ansible_failed_task.name }}"
    message: "{{ ansible_failed_result.msg | default('failed') }}"
"""

RETURN = r""" # """
