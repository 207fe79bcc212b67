# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_test``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_test
short_description: Test the image of a tier
description:
  - Runs the tests of the tier's role, and the contracts of its ancestors, on the image that
    P(tierwright.chain.tier_seal#module) made or that the plan keeps. It waits for neighbours that are built in this run.
  - An image that passed exactly these tests before, with the same neighbours, is not tested again.
  - An image that passes becomes the tier's image in this run, and the children of the tier can be built. An image that
    fails gets the tag C(failed-…).
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
extends_documentation_fragment:
  - tierwright.chain.tier
options:
  timeout:
    description: Seconds that all tests of the tier together may take.
    type: float
    default: 600
"""

EXAMPLES = r"""
- name: Test the image
  tierwright.chain.tier_test:
    run: "{{ chain_plan.run }}"
"""

RETURN = r"""
tests:
  description: How many tests ran; V(0) if there are no tests, or if the image passed them before.
  returned: success
  type: int
seconds:
  description: How many seconds they took.
  returned: success
  type: float
"""
