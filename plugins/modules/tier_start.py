# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.tier_start``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tier_start
short_description: Start the build container of a tier
description:
  - Waits until the tier's parent is sealed, if it is built in the same run.
  - Starts a build container on exactly that image, with the parent's entrypoint, user, health check and volumes out of the way.
  - The container is confined; it is not privileged and does not see the engine.
  - Modules need Python, and images hold none. The container gets a copy of its distribution's own, on a read-only volume
    that is made once for each base.
  - Starts nothing where the parent came out as an image that the tier was built on before.
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
options:
  python:
    description:
      - The image's own Python, for modules to run with. Nothing is mounted then.
    type: str
  proxy:
    description:
      - Whether the controller's proxy variables (C(http_proxy), C(https_proxy), C(ftp_proxy), C(no_proxy)) are returned, for the
        tasks to run with.
    type: bool
    default: false
  record:
    description:
      - Whether it must be recorded what the role uses, so that a change of it is noticed later. Nothing is started where that
        is not so, because the callback plugin P(tierwright.chain.chain#callback) did not run.
      - Only a build whose image nobody keeps can do without, such as a scenario of Molecule.
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
    - Whether nothing was started, because the parent came out as an image that the tier was built on before.
    - The build ends here then.
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
  description: Path of the Python that modules run with in it, for C(ansible_python_interpreter).
  returned: when a build was started
  type: str
parent:
  description: ID of the image that the tier stands on.
  returned: success
  type: str
role:
  description: What M(ansible.builtin.include_role) finds the tier's role by.
  returned: when a build was started
  type: str
before:
  description: Paths of the files of tasks that run before the role.
  returned: when a build was started
  type: list
  elements: str
after:
  description: Paths of the files of tasks that run after the role.
  returned: when a build was started
  type: list
  elements: str
environment:
  description: Variables of the environment that tasks in the build container run with; the proxies, where asked for.
  returned: when a build was started
  type: dict
config_variable:
  description: Name of the variable in which the role says what its image is like, such as C(httpd_php_tier_config).
  returned: when a build was started
  type: str
protects_variable:
  description: Name of the variable in which the role says which paths only its tier may write.
  returned: when a build was started
  type: str
"""
