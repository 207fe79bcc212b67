# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.engine_info``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_info
short_description: Find out whether a container engine answers
description:
  - Connects to the engine at the address in E(DOCKER_HOST), or to the engine behind the local socket.
  - If no engine answers, the module reports that. It does not fail.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return what would change, without changing anything.
    support: full
  diff_mode:
    description: Returns what changed in diff mode.
    support: none
"""

EXAMPLES = r"""
- name: Find out whether an engine answers
  tierwright.chain.engine_info:
  register: engine
"""

RETURN = r"""
answers:
  description: Whether an engine answers.
  returned: always
  type: bool
address:
  description: Address of the engine.
  returned: always
  type: str
named:
  description: Whether E(DOCKER_HOST) sets the address.
  returned: always
  type: bool
version:
  description: Version of the engine; null if no engine answers.
  returned: always
  type: str
message:
  description: Why no engine answers, and what to do; empty if an engine answers.
  returned: always
  type: str
"""
