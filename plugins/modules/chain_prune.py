# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.chain_prune``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: chain_prune
short_description: Remove what nothing needs any more of a chain
description:
  - Removes images of the chain that nobody gave a name to, that are in none of the last releases, that the next build
    would not take as they are, that no container was made from, and that no image which stays stands on.
  - Removes interpreters and caches of packages that no image on the engine can be built with, and build containers
    that were abandoned.
  - Removes nothing but what is the chain's own, which is images of its tiers in the repositories of these tiers; labels
    alone say nothing.
  - Checks and plans the chain first, as P(tierwright.chain.tier_plan#module) does.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
extends_documentation_fragment:
  - tierwright.chain.tier.lock
options:
  keep_releases:
    description: How many releases to keep, the current one included.
    type: int
    default: 3
attributes:
  check_mode:
    description: Can run in check mode and return what would be, without changing anything.
    support: full
  diff_mode:
    description: Returns what changed in diff mode.
    support: none
"""

EXAMPLES = r"""
- name: Remove what nothing needs
  tierwright.chain.chain_prune:
    keep_releases: 5
  run_once: true
"""

RETURN = r"""
freed:
  description: Bytes that the removed images and volumes took.
  returned: success
  type: int
images:
  description: Names of the tiers of the removed images, by the images' IDs.
  returned: success
  type: dict
runs:
  description: Runs whose build containers were removed.
  returned: success
  type: list
  elements: str
volumes:
  description: Names of the removed volumes.
  returned: success
  type: list
  elements: str
"""
