# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_update``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_update
short_description: Lock the newest images of other teams that a chain follows
description:
  - Asks the registries which images the tags in C(tier_follow) name now, and compares them with those in C(chain.lock).
  - Shows per tier and team what is newer. These are packages, settings, contract tests and protected paths.
  - Writes C(chain.lock) in the folder of the inventory. The next build then uses these images.
  - Needs no engine.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
options:
  tiers:
    description:
      - Names of the tiers to update, as a list or as a text with commas.
      - By default, all followed tiers of the play are updated.
    type: raw
    default: []
  dest:
    description: A file for the answer as JSON, in check mode too.
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
- name: Lock the newest images
  tierwright.chain.tier_update:
  run_once: true
"""

RETURN = r"""
newer:
  description: By tier, the image that is newer than the locked one, with the digest of its manifest.
  returned: success
  type: dict
  sample:
    corebuild: "registry.example.org/operations/corebuild@sha256:…"
written:
  description: The lock files that were written.
  returned: success
  type: list
  elements: str
"""
