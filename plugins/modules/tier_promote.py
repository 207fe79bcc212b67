# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_promote``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_promote
short_description: Move the release tags of what passed
description:
  - Moves the release tags of the tiers that passed, and with them everything of the run that stands on them.
  - The release tag of a tier stays where it is if a tier that depends on it failed.
  - All of them move, or none. None moves if one of them, or of what they stand on, was moved by somebody else since the
    plan was made.
  - What a release tag named before is called C(previous). The images of the new release get its tag, C(release-…).
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
extends_documentation_fragment:
  - tierwright.chain.tier
"""

EXAMPLES = r"""
- name: Move the release tags
  tierwright.chain.tier_promote:
    run: "{{ chain_plan.run }}"
  run_once: true
"""

RETURN = r"""
release:
  description: Tag of the new release; empty where nothing moved.
  returned: success
  type: str
  sample: release-20261124T093000Z
promoted:
  description: IDs of the images that release tags name now, by tier.
  returned: success
  type: dict
"""
