# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.chain_prune``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: chain_prune
short_description: Remove the images of a chain that nothing needs any more
description:
  - Removes images of the chain, except images with names that users gave, images of the kept releases, images that the
    next build would keep, images that containers were made from, and the ancestors of all these images.
  - Removes mounted Pythons and package caches that no image on the engine can be built with, and abandoned build
    containers.
  - Removes the containers of failed builds that C(tier_keep_failed) kept.
  - Removes only images of the chain's own tiers, in the repositories of these tiers. A label alone does not make an image
    the chain's own.
  - Checks and plans the chain first, as P(tierwright.chain.tier_plan#module) does.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
extends_documentation_fragment:
  - tierwright.chain.tier.lock
options:
  keep_releases:
    description: How many releases to keep, including the current one.
    type: int
    default: 3
attributes:
  check_mode:
    description: Can run in check mode and return what would change, without changing anything.
    support: full
  diff_mode:
    description: Returns what changed in diff mode.
    support: none
"""

EXAMPLES = r"""
- name: Remove the images that nothing needs
  tierwright.chain.chain_prune:
    keep_releases: 5
  run_once: true
"""

RETURN = r"""
freed:
  description: Size of the removed images and volumes in bytes.
  returned: success
  type: int
images:
  description: Names of the tiers of the removed images, by the images' IDs.
  returned: success
  type: dict
kept:
  description: Names of the tiers whose failed builds had a kept container, which was removed.
  returned: success
  type: list
  elements: str
runs:
  description: IDs of the abandoned runs whose build containers were removed.
  returned: success
  type: list
  elements: str
volumes:
  description: Names of the removed volumes.
  returned: success
  type: list
  elements: str
"""
