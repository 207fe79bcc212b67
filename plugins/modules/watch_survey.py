# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.watch_survey``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: watch_survey
short_description: Compare what runs with what is released
description:
  - Compares the followed tiers of a chain with what their teams have released, and a site with what its tags name now.
  - The command C(tierwright watch) asks it. Nothing is changed.
  - The variables C(watch_*) of the inventory say what is compared.
  - It runs on the controller, for the host that the site is deployed from.
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
- name: Compare what runs with what is released
  tierwright.chain.watch_survey:
  register: survey
"""

RETURN = r"""
needs:
  description: The work that has to be done.
  returned: success
  type: list
  elements: str
  sample: [deploy shop]
problems:
  description: What could not be compared, and why.
  returned: success
  type: list
  elements: str
"""
