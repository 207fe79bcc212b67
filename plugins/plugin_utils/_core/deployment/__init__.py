# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A site: the services that run, their images by digest, and how Kubernetes, Swarm and Podman are told about them."""
