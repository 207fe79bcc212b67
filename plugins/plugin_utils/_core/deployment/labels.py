# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Labels by which the parts of a site are found again, on every target. ``tierwright deployed`` reads them."""

from __future__ import annotations

from collections.abc import Mapping

from ..image.labels import PREFIX
from .site import Site, SiteService

#: Name of the site.
SITE = PREFIX + "site"
#: Name of the service.
SERVICE = PREFIX + "service"
#: What the image was chosen by, and what it is. Labels of Kubernetes cannot contain slashes, so these are annotations.
CHOSEN_BY = PREFIX + "chosen-by"
CONFIG = PREFIX + "config"
#: The deployment that made the container: the name of its record.
DEPLOYMENT = PREFIX + "deployment"
#: The port of the machine that the service holds.
PORT = PREFIX + "port"
#: Digest of everything that a deployment says about the service, except which deployment it was.
SPEC = PREFIX + "spec"


def selector(site: Site, service: SiteService) -> dict[str, str]:
    """Return the labels that only the containers of this service have. They never change."""
    return {SERVICE: service.name, SITE: site.name}


def service_labels(site: Site, service: SiteService) -> dict[str, str]:
    """Return the labels of a service and of its containers, with those that tools of Kubernetes show."""
    return {
        "app.kubernetes.io/component": service.name,
        "app.kubernetes.io/managed-by": "tierwright",
        "app.kubernetes.io/part-of": site.name,
        **selector(site, service),
    }


def image_annotations(service: SiteService) -> dict[str, str]:
    """Return what says which image a service runs, and by which name it was chosen."""
    return {CHOSEN_BY: service.image.chosen_by, CONFIG: service.image.config}


def container_labels(site: Site, service: SiteService, deployment: str) -> Mapping[str, str]:
    """Return the labels of a container in an engine, where labels may contain everything."""
    return dict(sorted({**selector(site, service), **image_annotations(service), DEPLOYMENT: deployment}.items()))
