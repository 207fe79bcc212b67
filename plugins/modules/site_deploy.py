# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of ``tierwright.chain.site_deploy``, which is an action and runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_deploy
short_description: Deploy a site with its images by digest
description:
  - Deploys WordPress with its database and a proxy to Docker Swarm, Kubernetes or OpenShift, or renders files for them or
    for Podman.
  - Checks everything that can be checked before it changes something.
  - The role C(deploy) has the same options as variables, with the prefix C(deploy_).
  - It runs on the controller.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
options:
  name:
    description: Name of the site.
    type: str
    required: true
  target:
    description: Where it runs.
    type: str
    required: true
    choices: [kubernetes, openshift, swarm, quadlet]
  images:
    description: The image of each service, by a name with a tag or a digest.
    type: dict
    required: true
  secrets:
    description: The values C(database_password), C(database_root_password) and C(phrase).
    type: dict
  registries:
    description: How registries are contacted, as in C(tier_registries).
    type: dict
  policy:
    description: The policy that the images must fulfil. By default C(chain-policy.yml) beside the inventory, if it exists.
    type: str
  policy_keys:
    description: Public keys of the owner of the policy, in PEM or as files.
    type: list
    elements: str
  replicas:
    description: The number of containers of each service.
    type: dict
  limits:
    description: The limits of each service.
    type: dict
  most_replicas:
    description: The number of containers of WordPress that a busy cluster may run; 0 for no change.
    type: int
    default: 0
  start_timeout:
    description: Seconds that a container has to become healthy, including an upgrade of the database.
    type: int
    default: 120
  port:
    description: The port that visitors reach.
    type: int
    default: 8080
  database:
    description: Name of the database.
    type: str
    default: wordpress
  user:
    description: Name of the database's user.
    type: str
    default: wordpress
  table_prefix:
    description: Prefix of the tables.
    type: str
    default: wp_
  config_extra:
    description: PHP code for the configuration of WordPress.
    type: str
  uploads:
    description: The volume of the uploads.
    type: dict
  data:
    description: The volume of the database.
    type: dict
  render_to:
    description: A folder for files. Then nothing is deployed.
    type: path
  entries:
    description: On Swarm, the number of proxies that hold the port of the machine together; with 0, the proxy publishes it.
    type: int
    default: 0
  mesh:
    description: Whether Swarm's mesh publishes the port.
    type: bool
    default: false
  constraints:
    description: Rules of Swarm for the machines that services may run on.
    type: list
    elements: str
    default: []
  namespace:
    description: The namespace; by default, it has the name of the site.
    type: str
  create_namespace:
    description: Whether the namespace is made.
    type: bool
    default: false
  context:
    description: The context of the cluster's configuration.
    type: str
  host:
    description: Host name of the site, for an ingress or a route.
    type: str
  ingress_class:
    description: Class of the ingress.
    type: str
  tls_secret:
    description: Name of a secret with a certificate, for the ingress.
    type: str
  image_triggers:
    description: Whether OpenShift rolls out new images of the tags itself.
    type: bool
    default: false
  existing_secret:
    description: Name of a secret in the namespace that has all values already.
    type: str
attributes:
  check_mode:
    description: Can run in check mode and return what would change, without changing anything.
    support: full
  diff_mode:
    description: Returns what changed in diff mode.
    support: partial
    details: For Kubernetes, OpenShift, and rendered files. No secret is shown.
"""

EXAMPLES = r"""
- name: Deploy the shop
  tierwright.chain.site_deploy:
    name: shop
    target: swarm
    images:
      mariadb: registry.example.org/middleware/mariadb:latest
      haproxy: registry.example.org/middleware/haproxy:latest
      wordpress: registry.example.org/development/wordpress:latest
    secrets: "{{ vaulted_secrets }}"
  no_log: true
"""

RETURN = r"""
deployment:
  description: Name of the record of this deployment.
  returned: if something was deployed
  type: str
  sample: deploy-20261129T201500Z
services:
  description: What was done with each service.
  returned: if something was deployed
  type: list
  elements: dict
files:
  description: The files that were rendered.
  returned: if files were rendered
  type: list
  elements: str
secrets:
  description: The names of the secrets that the rendered units use.
  returned: if the target is C(quadlet)
  type: list
  elements: str
plan:
  description: By service, C(new), C(changed), C(unchanged), or on Swarm C(removed).
  returned: in check mode
  type: dict
"""
