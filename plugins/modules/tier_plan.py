# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_plan``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_plan
short_description: Plan a run over the chain
description:
  - Checks the tiers of the inventory, their graph, their roles and their variables.
  - Decides for each tier whether it must be built, and lists the reasons.
  - Does not start a container.
  - Only one run of a user over a chain is active at a time. The module waits for another run of the user, except in check
    mode.
  - First finishes interrupted promotions or takes them back, and removes what killed runs left behind.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
extends_documentation_fragment:
  - tierwright.chain.tier.lock
options:
  build:
    description: Whether tiers may be built. If V(false), the run only tests the released images.
    type: bool
    default: true
  dest:
    description: A file for the plan as JSON, in check mode too. It contains C(chain), the name of the chain, and the
      returned C(tiers).
    type: path
  junit_file:
    description: A file for the result of the run as JUnit XML, with a test suite for each tier.
    type: path
  profile:
    description:
      - A file for the profile of the run as JSON, which says where the time went. At its end, the run prints a table of it.
      - It is not written in check mode.
    type: path
    version_added: 0.1.0
  result_file:
    description:
      - A file for the result of the run as JSON. Its state is C(running) until the run has ended.
      - It is not written in check mode; use O(dest) for the plan.
    type: path
  resume:
    description:
      - A tier whose failed build goes on in its kept container. The run must be limited to this tier, and releases nothing.
    type: str
    default: ""
  resume_from:
    description: Name of the task with which O(resume) begins, in place of the failed task.
    type: str
    default: ""
  suite:
    description: The tier whose tests O(suite_file) describes.
    type: str
    default: ""
  suite_file:
    description: A file for the tests of O(suite) and the images that they need, as JSON. C(tierwright test) reads it.
    type: path
  results:
    description:
      - A folder for the result of the run as C(result.json), C(junit.xml) and C(refusals.sarif). It is created.
      - In C(junit.xml), the tests of each tier have a suite for each owner.
    type: path
  force:
    description: Names of tiers to build although nothing changed, as a list or as a text with commas.
    type: raw
    default: []
  publish:
    description: Whether M(tierwright.chain.tier_publish) follows in the last play, so that this play must run. It is
      C(true), C(false), or C(cache) if it publishes only for the shared cache.
    type: str
    default: 'false'
  exit_code:
    description: Whether the exit status of ansible-playbook says in check mode if the run would build something.
    type: bool
    default: false
  try_candidate:
    description:
      - Whether the run tries the candidates of the teams that the chain follows, in place of the images in C(chain.lock).
        Such a run releases nothing.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and return what would change, without changing anything.
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
exit_code:
  description: The exit status of ansible-playbook; 16 if a tier would be built, otherwise 0.
  returned: in check mode, with O(exit_code)
  type: int
  sample: 16
bases:
  description: Names of the bases that must be made.
  returned: success
  type: list
  elements: str
builds:
  description: Names of the other tiers that must be built, parents before children.
  returned: success
  type: list
  elements: str
gate:
  description:
    - Names of the tiers that must be tested, because they are built, or because their kept images are untested.
    - Parents and neighbours come before the tiers that need them. Bases have no tests.
  returned: success
  type: list
  elements: str
promote:
  description: Whether a release tag may have to move.
  returned: success
  type: bool
tried:
  description: Names of the followed tiers whose candidates are tried; empty in check mode.
  returned: if O(try_candidate=true)
  type: list
  elements: str
tiers:
  description:
    - The plan for each tier, by name. C(image) is the ID of the image that the tier keeps. C(released) is the ID of the
      image that its release tag names when the run is planned. Both can be null.
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
