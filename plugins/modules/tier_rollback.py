# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_rollback``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_rollback
short_description: Bring the chain back to an earlier release
description:
  - Moves the release tags of the play's tiers to the images of another release, all of them or none.
  - What was released after it gets the tag C(withdrawn-…), and is not released again before it changed or is forced.
  - Going forward again, by name, takes those tags off.
  - What a release tag named before is called C(previous).
  - Builds and removes nothing.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
extends_documentation_fragment:
  - tierwright.chain.tier.lock
options:
  release:
    description: The release's tag, C(release-…). Without it, the one before the current one is meant, but for those that were taken back.
    type: str
attributes:
  check_mode:
    description: Can run in check mode and return what would be, without changing anything.
    support: full
  diff_mode:
    description: Returns what changed in diff mode.
    support: none
"""

EXAMPLES = r"""
- name: Move the release tags back
  tierwright.chain.tier_rollback:
  run_once: true

- name: Move the release tags to a release of that name
  tierwright.chain.tier_rollback:
    release: release-20261124T093000Z
  run_once: true
"""

RETURN = r"""
release:
  description: The release that the tags are those of now.
  returned: success
  type: str
moved:
  description: IDs of the images that a release tag named and names, by tier; only of those that moved.
  returned: success
  type: dict
  sample:
    corebuild:
      was: "sha256:…"
      is: "sha256:…"
"""
