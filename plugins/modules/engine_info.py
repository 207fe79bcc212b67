# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.engine_info``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_info
short_description: Say whether a container engine answers
description:
  - Asks the engine that E(DOCKER_HOST) names, else the one behind the local socket.
  - An engine that does not answer is a result and not a failure.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return what would be, without changing anything.
    support: full
  diff_mode:
    description: Returns what changed in diff mode.
    support: none
"""

EXAMPLES = r"""
- name: Ask whether an engine answers
  tierwright.chain.engine_info:
  register: engine
"""

RETURN = r"""
answers:
  description: Whether an engine answers.
  returned: always
  type: bool
address:
  description: Where it was looked for.
  returned: always
  type: str
named:
  description: Whether E(DOCKER_HOST) says so.
  returned: always
  type: bool
version:
  description: The engine's version; none if it does not answer.
  returned: always
  type: str
message:
  description: Why it does not answer, and what to do.
  returned: always
  type: str
"""
