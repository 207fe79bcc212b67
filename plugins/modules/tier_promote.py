# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_promote``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_promote
short_description: Move the release tags of the tiers that passed
description:
  - Moves the release tag of each tier of the run that passed, if all tiers of the run that depend on it passed too.
  - All tags move, or none. No tag moves if the release tag of one of these tiers, or of an ancestor, has moved since the
    plan.
  - Before that, it signs what is known about the images of each tier that has C(tier_signing_key).
  - The image that a release tag named before gets the tag C(previous). The images of the new release get its tag,
    C(release-…).
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
  description: Tag of the new release; empty if no release tag moved.
  returned: success
  type: str
  sample: release-20261124T093000Z
promoted:
  description: By tier, the IDs of the images that release tags name now.
  returned: success
  type: dict
signed:
  description: Number of new signatures by tier. Tiers that nobody signs are missing.
  returned: success
  type: dict
"""
