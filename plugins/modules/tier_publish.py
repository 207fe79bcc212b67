# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_publish``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_publish
short_description: Publish the released images of a chain to registries
description:
  - Sends the released images of the play's tiers to the registries that their C(tier_image) names, and then moves the
    tags there. Tiers whose C(tier_image) names no registry are listed, and are not published.
  - Layers that the registry has are not sent again. Layers are sent without compression, so an image has the same
    digest in every registry, whoever publishes it.
  - If the run is killed while tags move, the next run moves the others.
  - Credentials are those of C(tier_registries), or else of C(docker login) and C(podman login).
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
extends_documentation_fragment:
  - tierwright.chain.tier.lock
options:
  candidate:
    description:
      - Whether the images only get the tag C(candidate) in their registries, so that other teams can try them. No other
        tag moves.
      - If a tier has consumers (C(tier_consumers)), its image gets this tag before the module waits for their verdicts.
    type: bool
    default: false
  only_cache:
    description: Whether the images only get the tags of the shared cache, so that other machines can take them. No release
      moves.
    type: bool
    default: false
  run:
    description: Folder of the journal of the run that this task is a part of, from M(tierwright.chain.tier_plan). Without
      it, the task is a run of its own, and waits for other runs.
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
- name: Publish what is released
  tierwright.chain.tier_publish:
  run_once: true
"""

RETURN = r"""
published:
  description: By tier, the image in the registry, with the digest of its manifest.
  returned: success; empty in check mode
  type: dict
  sample:
    corebuild: "registry.example.org/operations/corebuild@sha256:…"
sent:
  description: Bytes that were sent.
  returned: success
  type: int
"""
