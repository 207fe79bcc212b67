# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_plan``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_plan
short_description: Plan a run over the chain
description:
  - Checks the tiers of the inventory, their graph, their roles and their variables.
  - Decides for each tier whether it must be built, and says why.
  - Starts no container.
  - One run at a time goes on over a chain. While there is another one of this user's, it is waited for, but not in check
    mode.
  - First of all it brings to an end, and clears away, what killed runs left.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
extends_documentation_fragment:
  - tierwright.chain.tier.lock
options:
  build:
    description: Whether tiers may be built. If V(false), what is released is to be tested, and nothing else happens.
    type: bool
    default: true
  dest:
    description: A file to write the plan to as JSON, also in check mode. It holds C(chain), its name, and the returned C(tiers).
    type: path
  junit_file:
    description: A file to write the run's result to as JUnit does, with a suite for each tier.
    type: path
  result_file:
    description:
      - A file to write the run's result to as JSON. It says C(running) until the run has ended.
      - Not in check mode; O(dest) has the plan.
    type: path
  force:
    description: Names of tiers to build although nothing changed, as a list or with commas between.
    type: raw
    default: []
attributes:
  check_mode:
    description: Can run in check mode and return what would be, without changing anything.
    support: full
  diff_mode:
    description: Returns what changed in diff mode.
    support: none
"""

EXAMPLES = r"""
- name: Check every tier and decide what must be built
  tierwright.chain.tier_plan:
  register: chain_plan
  run_once: true
"""

RETURN = r"""
run:
  description: Folder of the run's journal; empty in check mode.
  returned: success
  type: str
bases:
  description: Names of the bases that are to be made.
  returned: success
  type: list
  elements: str
builds:
  description: Names of the other tiers that are to be built, parents before children.
  returned: success
  type: list
  elements: str
gate:
  description:
    - Names of the tiers that are to be tested, because they are built or because what is kept has to be.
    - Parents and neighbours come before those that need them; bases have no tests.
  returned: success
  type: list
  elements: str
promote:
  description: Whether a release tag may have to move.
  returned: success
  type: bool
tiers:
  description:
    - What becomes of each tier, by its name. C(image) is the ID of the image that it has and keeps, C(released) of the one
      that its release tag names when the run is planned; either may be none.
  returned: success
  type: dict
  sample:
    corebuild:
      action: build
      image:
      parent: base
      reasons: [role corebuild/tasks/main.yml changed]
      released: sha256:…
      team: operations
"""
