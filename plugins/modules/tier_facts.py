# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_facts``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_facts
short_description: Replace facts for roles that expect a whole machine
description:
  - Sets the fact C(service_mgr), which is not C(systemd) in a build container. Some roles refuse every other value.
  - Use it after M(ansible.builtin.setup).
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
options:
  service_manager:
    description: The value of the fact, as C(tier_services.manager) sets it.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Name the service manager that the role expects
  tierwright.chain.tier_facts:
    service_manager: systemd
"""

RETURN = r"""
ansible_facts:
  description: The fact.
  returned: always
  type: dict
  sample: {ansible_service_mgr: systemd}
"""
