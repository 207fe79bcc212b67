# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the documentation of several modules has in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of options that mean the same everywhere."""

    DOCUMENTATION = r"""
options:
  run:
    description: Folder of the run's journal, which P(tierwright.chain.tier_plan#module) returns.
    type: path
    required: true
attributes:
  check_mode:
    description: Can run in check mode and return what would be, without changing anything.
    support: none
    details:
      - The plan is what check mode is for; nothing is built in it.
  diff_mode:
    description: Returns what changed in diff mode.
    support: none
"""

    CONFIG = r"""
options:
  config:
    description:
      - Settings of the image, with the keys C(entrypoint), C(cmd), C(user) and so on.
      - C(docs/variables.md) lists them all under C(tier_config).
    type: dict
    default: {}
  protects:
    description:
      - Patterns of paths that only this tier may write; the layers of its descendants may not touch them.
      - C(docs/variables.md) says more under C(tier_protects).
    type: list
    elements: str
    default: []
"""

    LOCK = r"""
options:
  lock_timeout:
    description: Seconds to wait for another run over the chain; V(0) fails at once, saying whose it is.
    type: float
    default: 3600
"""
