# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which services of a site may connect to which, as network policies of Kubernetes. Everything else is forbidden."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .labels import SITE, selector
from .site import Site, SiteService

_DNS_PORT = 53
#: CoreDNS of OpenShift listens on this port in its pods, and policies see the ports of pods.
_OPENSHIFT_DNS_PORT = 5353


def network_policies(site: Site, namespace: str) -> Iterator[dict[str, Any]]:
    """Yield one policy for the whole site, which forbids everything, and one for each service.

    A published service may be reached from everywhere: from ingress controllers, whose place nobody knows.

    Args:
        site: The site.
        namespace: Its namespace.
    """
    yield _policy(site, namespace, site.name, {"matchLabels": {SITE: site.name}}, {})
    for service in site.services:
        rules = {"egress": _egress(site, service), "ingress": _ingress(site, service)}
        yield _policy(site, namespace, f"{site.name}-{service.name}", {"matchLabels": selector(site, service)}, rules)


def _policy(site: Site, namespace: str, name: str, pods: dict[str, Any], rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"labels": {SITE: site.name}, "name": name, "namespace": namespace},
        "spec": {**rules, "podSelector": pods, "policyTypes": ["Egress", "Ingress"]},
    }


def _ingress(site: Site, service: SiteService) -> list[dict[str, Any]]:
    ports = [{"port": service.port, "protocol": "TCP"}]
    if service.published is not None:
        return [{"ports": ports}]
    users = [_pods(site, site.service(name)) for name in site.users_of(service.name)]
    return [{"from": users, "ports": ports}] if users else []


def _egress(site: Site, service: SiteService) -> list[dict[str, Any]]:
    if not service.uses:
        return []
    names = [
        {"port": port, "protocol": protocol} for port in (_DNS_PORT, _OPENSHIFT_DNS_PORT) for protocol in ("TCP", "UDP")
    ]
    used = [site.service(name) for name in service.uses]
    return [
        {"ports": names},
        *({"ports": [{"port": each.port, "protocol": "TCP"}], "to": [_pods(site, each)]} for each in used),
    ]


def _pods(site: Site, service: SiteService) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": selector(site, service)}}
