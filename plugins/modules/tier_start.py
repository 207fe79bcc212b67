# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_start``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_start
short_description: Start the build container of a tier
description:
  - Waits until the tier's parent is sealed, if it is built in the same run.
  - Starts a build container on exactly that image, but without the parent's entrypoint, user, health check and volumes.
  - The container is confined. It is not privileged, and has no access to the engine.
  - Modules need Python, but images need not contain it. The container mounts a copy of the distribution's Python from a
    read-only volume, which is made once for each base.
  - Does not start a container if the tier was built before on the new image of its parent. The tier is spared then.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
options:
  python:
    description:
      - Path of the image's own Python, for modules. No Python is mounted then.
    type: str
  keep_failed:
    description:
      - Whether the container is stopped and kept if the tier fails, so that a user can look into it. The next build of the
        tier, P(tierwright.chain.chain_prune#module) and C(tierwright discard) remove it.
    type: bool
    default: false
  proxy:
    description:
      - Whether to return the controller's proxy variables (C(http_proxy), C(https_proxy), C(ftp_proxy), C(no_proxy)), for
        the environment of the tasks.
    type: bool
    default: false
  record:
    description:
      - Whether the run must record the sources that the role uses, so that later plans detect changes. The module fails if
        the callback plugin P(tierwright.chain.chain#callback), which records them, is not active.
      - Set it to V(false) only for a build whose image is not kept, such as a scenario of Molecule.
    type: bool
    default: true
extends_documentation_fragment:
  - tierwright.chain.tier
"""

EXAMPLES = r"""
- name: Start a build container
  tierwright.chain.tier_start:
    run: "{{ chain_plan.run }}"
  register: tier_build
"""

RETURN = r"""
spared:
  description:
    - Whether no container was started, because the tier was built before on the new image of its parent.
    - If so, the build of the tier ends here.
  returned: success
  type: bool
image:
  description: ID of the tier's image.
  returned: when RV(spared) is true
  type: str
container:
  description: Name of the build container, for the variable C(tier_container) of P(tierwright.chain.tier#connection).
  returned: when a build was started
  type: str
python:
  description: Path of the Python for modules in the container, for C(ansible_python_interpreter).
  returned: when a build was started
  type: str
parent:
  description: ID of the image that the tier is based on.
  returned: success
  type: str
role:
  description: Name of the tier's role, or of the first of several, for M(ansible.builtin.include_role).
  returned: when a build was started
  type: str
more_roles:
  description: Names of the other roles, in the order in which they are applied.
  returned: when a build was started
  type: list
  elements: str
before:
  description: Paths of the task files that run before the role.
  returned: when a build was started
  type: list
  elements: str
after:
  description: Paths of the task files that run after the role.
  returned: when a build was started
  type: list
  elements: str
environment:
  description: Environment variables for the tasks in the build container. With O(proxy), they contain the
    proxy variables; with C(tier_ssh_agent), the socket of the agent.
  returned: when a build was started
  type: dict
config_variables:
  description:
    - Names of the variables in which the roles declare the settings of the image, such as C(httpd_php_tier_config).
  returned: when a build was started
  type: list
  elements: str
protects_variables:
  description: Names of the variables in which the roles declare the protected paths.
  returned: when a build was started
  type: list
  elements: str
"""
