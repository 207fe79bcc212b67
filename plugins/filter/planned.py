# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter ``tierwright.chain.planned``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

DOCUMENTATION = r"""
name: planned
short_description: Hosts of a play, as the plan says
description:
  - Reads which tiers a play of the build is for, out of what P(tierwright.chain.tier_plan#module) registered as C(chain_plan).
  - Keeps the plan's order, in which parents come before their children.
  - Where there is no plan (C(--syntax-check), C(--list-tasks)) or nothing to do, the result is a pattern that matches no host.
version_added: 0.1.0
author:
  - Tierwright contributors (@tierwright)
positional: part, hosts
options:
  _input:
    description: The magic variable C(hostvars); it does not exist before the first play has run.
    type: dict
    required: true
  part:
    description: Which tiers are wanted.
    type: str
    choices:
      bases: Bases that are to be made.
      gate: Other tiers that are to be built, and those that are kept and have to be tested.
      promote: All tiers of the run, if a release tag may have to move.
    required: true
  hosts:
    description: Hosts of the run, the magic variable C(ansible_play_hosts_all).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Build the tiers
  hosts: "{{ hostvars | default({}) | tierwright.chain.planned('gate', ansible_play_hosts_all | default([])) }}"
  tasks: []
"""

RETURN = r"""
_value:
  description: Names of hosts, or a pattern that matches none.
  type: list
  elements: str
"""

#: An empty list is no valid value for a play's hosts, and an unknown name draws a warning.
NOBODY = ["all:!all"]


def planned(hostvars: Mapping[str, Mapping[str, Any]], part: str, hosts: Sequence[str]) -> list[str]:
    """Names of the hosts that a play is for; ``NOBODY`` where there are none."""
    if not hosts or hosts[0] not in hostvars or "chain_plan" not in hostvars[hosts[0]]:
        return NOBODY
    plan = hostvars[hosts[0]]["chain_plan"]
    chosen = plan["tiers"] if part == "promote" and plan["promote"] else plan.get(part)
    return list(chosen) if chosen else NOBODY


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names of the filters."""
        return {"planned": planned}
