# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_rollback``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_rollback
short_description: Roll the chain back to an earlier release
description:
  - Moves the release tags of the play's tiers to the images of a different release, all of them or none.
  - Images that were released after it get the tag C(withdrawn-…). They are not released again until their inputs change or
    their tiers are forced.
  - A rollback forward to a later release, by name, removes these tags.
  - The image that a release tag named before gets the tag C(previous).
  - Does not build or remove images.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
extends_documentation_fragment:
  - tierwright.chain.tier.lock
options:
  release:
    description: Tag of the release, C(release-…). By default, it is the release before the current one. Withdrawn
      releases are skipped.
    type: str
attributes:
  check_mode:
    description: Can run in check mode and return what would change, without changing anything.
    support: full
  diff_mode:
    description: Returns what changed in diff mode.
    support: none
"""

EXAMPLES = r"""
- name: Move the release tags back
  tierwright.chain.tier_rollback:
  run_once: true

- name: Move the release tags to the named release
  tierwright.chain.tier_rollback:
    release: release-20261124T093000Z
  run_once: true
"""

RETURN = r"""
release:
  description: The release that the release tags match now.
  returned: success
  type: str
moved:
  description: By tier, the IDs of the images that its release tag named before and names now. Only tiers whose tag moved.
  returned: success
  type: dict
  sample:
    corebuild:
      was: "sha256:…"
      is: "sha256:…"
"""
