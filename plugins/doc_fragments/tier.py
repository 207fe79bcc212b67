# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation that several modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of options that several modules have."""

    DOCUMENTATION = r"""
options:
  run:
    description: Folder of the run's journal, as P(tierwright.chain.tier_plan#module) returns it.
    type: path
    required: true
attributes:
  check_mode:
    description: Can run in check mode and return what would change, without changing anything.
    support: none
    details:
      - In check mode, a run stops after the plan.
  diff_mode:
    description: Returns what changed in diff mode.
    support: none
"""

    CONFIG = r"""
options:
  config:
    description:
      - Settings of the image, such as C(entrypoint), C(cmd) and C(user).
      - C(docs/variables.md) lists all keys under C(tier_config).
      - It is a dictionary, or a list of the dictionaries of several roles, which are merged in their order.
    type: raw
    default: {}
  protects:
    description:
      - Patterns of the protected paths of this tier. The layers of its descendants may not change them.
      - See C(tier_protects) in C(docs/variables.md).
      - Each element is a pattern, or a list of the patterns of one role.
    type: list
    elements: raw
    default: []
"""

    LOCK = r"""
options:
  lock_timeout:
    description:
      - Seconds to wait for another run over the chain; V(0) fails at once. The error message names the other run.
    type: float
    default: 3600
"""
