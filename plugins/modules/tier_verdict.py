# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_verdict``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_verdict
short_description: Publish what a chain says about the candidates that it tried
description:
  - Writes a verdict for each tier that depends on a candidate of another team, to the tier's own repository. It says
    whether the tier was built upon this candidate and passed its tests. If it did not, it contains the failed tests.
  - A tier gives no verdict if its build was interrupted, if the engine failed, or if C(--limit) excludes a tier in between.
  - Values from a vault are hidden in verdicts.
  - Publishes the images that passed as candidates of their own, so that the teams that follow them can try them.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
options:
  run:
    description: Folder of the run's journal, from M(tierwright.chain.tier_plan) with O(tierwright.chain.tier_plan#module:try_candidate=true).
    type: path
    required: true
attributes:
  check_mode:
    description: Can run in check mode and return what would change, without changing anything.
    support: none
  diff_mode:
    description: Returns what changed in diff mode.
    support: none
"""

EXAMPLES = r"""
- name: Publish the verdicts, and the candidates that passed
  tierwright.chain.tier_verdict:
    run: "{{ chain_plan.run }}"
  run_once: true
"""

RETURN = r"""
verdicts:
  description: The verdicts that were published.
  returned: success
  type: list
  elements: dict
  sample:
    - tier: wordpress
      image: "registry.example.org/operations/corebuild@sha256:…"
      passed: true
"""
