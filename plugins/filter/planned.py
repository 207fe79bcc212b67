# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter ``tierwright.chain.planned``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

DOCUMENTATION = r"""
name: planned
short_description: Select the hosts of a play from the plan
description:
  - Selects the tiers of a play of the build, from the result of P(tierwright.chain.tier_plan#module) that was registered as
    C(chain_plan).
  - Keeps the order of the plan, in which parents come before their children.
  - If there is no plan (C(--syntax-check), C(--list-tasks)) or nothing to do, the result is a pattern that matches no host.
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
    description: Which tiers to select.
    type: str
    choices:
      bases: Bases that must be made.
      gate: Other tiers that must be built, and kept tiers that must be tested.
      promote: All tiers of the run, if a release tag may have to move.
      tried: All tiers of the run, if it tries candidates of other teams.
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

#: A pattern that matches no host. A play's hosts cannot be an empty list, and an unknown name causes a warning.
NO_HOST = ["all:!all"]


def planned(hostvars: Mapping[str, Mapping[str, Any]], part: str, hosts: Sequence[str]) -> list[str]:
    """Return the names of the hosts of a play; ``NO_HOST`` if there are none."""
    if not hosts or hosts[0] not in hostvars or "chain_plan" not in hostvars[hosts[0]]:
        return NO_HOST
    plan = hostvars[hosts[0]]["chain_plan"]
    selected = plan["tiers"] if part in {"promote", "tried"} and plan.get(part) else plan.get(part)
    return list(selected) if selected else NO_HOST


class FilterModule:
    """Provides the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"planned": planned}
