# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders a site for Kubernetes and OpenShift.

Equal sites give equal objects, in an order in which they can be applied.

The database is a Deployment with one replica and the strategy ``Recreate``, not a StatefulSet: it has exactly one
volume, and ``podman kube play`` does not run StatefulSets.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from ..errors import ChainError
from .labels import SITE, image_annotations, selector, service_labels
from .network_policies import network_policies
from .pods import claim_name, pod_template
from .secret_values import SecretValues
from .site import Site, SiteService, SiteVolume

KubeObject = dict[str, Any]

_HTTP = "http"


class ClusterSettings(msgspec.Struct, frozen=True):
    """What a user says about the cluster. Empty values are left out."""

    namespace: str
    #: Whether the cluster is OpenShift, which chooses users itself and has routes.
    openshift: bool = False
    #: Whether the namespace is made, with the label that makes the cluster check the pods.
    create_namespace: bool = False
    #: Host name of the site; without it, nothing outside of the cluster reaches the site.
    host: str = ""
    ingress_class: str = ""
    #: Name of a secret with a certificate, for the ingress.
    tls_secret: str = ""
    #: Whether OpenShift itself rolls out what the tags name.
    image_triggers: bool = False
    #: Name of a secret that exists already, if the values are not to be in the manifests.
    existing_secret: str = ""


class ManifestGroup(msgspec.Struct, frozen=True):
    """Objects that belong into one file, and are applied together."""

    name: str
    objects: tuple[KubeObject, ...]
    #: Whether one of them contains secrets.
    is_secret: bool = False


def render(site: Site, cluster: ClusterSettings, secrets: SecretValues) -> list[ManifestGroup]:
    """Render a site.

    Args:
        site: The site.
        cluster: Where it runs.
        secrets: Its secrets. Only the group ``secrets`` contains them.

    Returns:
        The groups, in the order in which they must be applied.

    Raises:
        ChainError: OpenShift shall roll out tags, but an image was chosen by a digest.
    """
    if cluster.image_triggers:
        _check_tags(site)
    groups = []
    if cluster.create_namespace:
        groups.append(ManifestGroup("namespace", (_namespace(cluster),)))
    secret_name = cluster.existing_secret
    if not secret_name and site.secret_keys:
        secret_name = f"{site.name}-secrets-{secrets.digest(f'{cluster.namespace}/{site.name}')}"
        secret = _secret(site, cluster, secret_name, secrets)
        groups.append(ManifestGroup("secrets", (secret,), is_secret=True))
    groups.append(ManifestGroup("network", tuple(network_policies(site, cluster.namespace))))
    groups += [
        ManifestGroup(service.name, tuple(_objects(site, service, cluster, secret_name))) for service in site.services
    ]
    return groups


def _check_tags(site: Site) -> None:
    if pinned := [service for service in site.services if "@" in service.image.chosen_by]:
        raise ChainError(
            f"deploy_image_triggers is true, but deploy_images.{pinned[0].name} is {pinned[0].image.chosen_by!r}, "
            "which is always the same image; name it by a tag, or set deploy_image_triggers to false"
        )


def _objects(site: Site, service: SiteService, cluster: ClusterSettings, secret: str) -> Iterator[KubeObject]:
    for mount in service.volumes:
        yield _claim(site, service, site.volume(mount.volume), cluster)
    if cluster.image_triggers:
        yield _image_stream(site, service, cluster)
    yield _deployment(site, service, cluster, secret)
    yield _service(site, service, cluster)
    if service.replicas > 1:
        yield _disruption_budget(site, service, cluster)
    if service.most_replicas:
        yield _autoscaler(site, service, cluster)
    if service.published is not None and cluster.host:
        yield _route(site, service, cluster) if cluster.openshift else _ingress(site, service, cluster)


def _metadata(site: Site, name: str, cluster: ClusterSettings, **more: Any) -> dict[str, Any]:
    return {"labels": {SITE: site.name}, "name": name, "namespace": cluster.namespace, **more}


def _namespace(cluster: ClusterSettings) -> KubeObject:
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("audit", "enforce", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": labels, "name": cluster.namespace}}


def _secret(site: Site, cluster: ClusterSettings, name: str, secrets: SecretValues) -> KubeObject:
    return {
        "apiVersion": "v1",
        # Not `stringData`: a cluster converts it, and Podman 4.3 ignores it. (It does not decode `data` either, but all
        # services then read the same texts.)
        "data": {key: base64.b64encode(secrets.values[key].encode()).decode() for key in site.secret_keys},
        "immutable": True,
        "kind": "Secret",
        "metadata": _metadata(site, name, cluster),
        "type": "Opaque",
    }


def _claim(site: Site, service: SiteService, volume: SiteVolume, cluster: ClusterSettings) -> KubeObject:
    # Podman does not know `fsGroup`, and a new volume would belong to root.
    owner = {"volume.podman.io/gid": str(service.gid), "volume.podman.io/uid": str(service.uid)}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _metadata(site, claim_name(site, volume.name), cluster, annotations=owner),
        "spec": {
            "accessModes": ["ReadWriteMany" if volume.shared else "ReadWriteOnce"],
            "resources": {"requests": {"storage": str(volume.size)}},
            **({"storageClassName": volume.storage_class} if volume.storage_class else {}),
        },
    }


def _deployment(site: Site, service: SiteService, cluster: ClusterSettings, secret: str) -> KubeObject:
    annotations = image_annotations(service)
    if service.filled:
        # Podman 4.3 fails if it removes an init container that has just ended. With this, it removes none.
        annotations["io.podman.annotations.init.container.type"] = "always"
    if cluster.image_triggers:
        annotations["image.openshift.io/triggers"] = _triggers(service)
    if service.published is not None and cluster.host:
        service = replace(service, environment={**service.environment, **service.ingress_environment})
    rolling = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}, "type": "RollingUpdate"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(
            site, service.name, cluster, annotations=annotations, labels=service_labels(site, service)
        ),
        "spec": {
            # Kubernetes does not go back by itself: it reports the failure, and the old pods keep serving.
            "progressDeadlineSeconds": service.probe.start_period + 60,
            # The autoscaler owns the number, and each new deployment would set it back.
            **({} if service.most_replicas else {"replicas": service.replicas}),
            "revisionHistoryLimit": 5,
            "selector": {"matchLabels": selector(site, service)},
            "strategy": {"type": "Recreate"} if service.exclusive else rolling,
            "template": pod_template(site, service, secret, fixed_users=not cluster.openshift),
        },
    }


def _service(site: Site, service: SiteService, cluster: ClusterSettings) -> KubeObject:
    """Return the name of a service in DNS. Several replicas have one address each, and the proxy chooses."""
    chosen_by_user = len(site.users_of(service.name)) > 0 and not service.exclusive
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(site, service.name, cluster, labels=service_labels(site, service)),
        "spec": {
            **({"clusterIP": "None"} if chosen_by_user else {}),
            "ports": [{"name": "main", "port": service.port, "targetPort": service.port}],
            "selector": selector(site, service),
        },
    }


def _disruption_budget(site: Site, service: SiteService, cluster: ClusterSettings) -> KubeObject:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(site, service.name, cluster),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector(site, service)}},
    }


def _autoscaler(site: Site, service: SiteService, cluster: ClusterSettings) -> KubeObject:
    target = {"averageUtilization": service.busy_at, "type": "Utilization"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(site, service.name, cluster),
        "spec": {
            "maxReplicas": service.most_replicas,
            "metrics": [{"resource": {"name": "cpu", "target": target}, "type": "Resource"}],
            "minReplicas": service.replicas,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.name},
        },
    }


def _ingress(site: Site, service: SiteService, cluster: ClusterSettings) -> KubeObject:
    backend = {"service": {"name": service.name, "port": {"name": "main"}}}
    rule = {"host": cluster.host, _HTTP: {"paths": [{"backend": backend, "path": "/", "pathType": "Prefix"}]}}
    tls = [{"hosts": [cluster.host], "secretName": cluster.tls_secret}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": _metadata(site, service.name, cluster),
        "spec": {
            **({"ingressClassName": cluster.ingress_class} if cluster.ingress_class else {}),
            "rules": [rule],
            **({"tls": tls} if cluster.tls_secret else {}),
        },
    }


def _route(site: Site, service: SiteService, cluster: ClusterSettings) -> KubeObject:
    return {
        "apiVersion": "route.openshift.io/v1",
        "kind": "Route",
        "metadata": _metadata(site, service.name, cluster),
        "spec": {
            "host": cluster.host,
            "port": {"targetPort": "main"},
            "tls": {"insecureEdgeTerminationPolicy": "Redirect", "termination": "edge"},
            "to": {"kind": "Service", "name": service.name, "weight": 100},
        },
    }


def _image_stream(site: Site, service: SiteService, cluster: ClusterSettings) -> KubeObject:
    """Return what makes OpenShift look at a tag in a registry from time to time."""
    repository, _, tag = service.image.chosen_by.rpartition(":")
    return {
        "apiVersion": "image.openshift.io/v1",
        "kind": "ImageStream",
        "metadata": _metadata(site, service.name, cluster),
        "spec": {
            "lookupPolicy": {"local": False},
            "tags": [
                {
                    "from": {"kind": "DockerImage", "name": f"{repository}:{tag}"},
                    "importPolicy": {"scheduled": True},
                    "name": tag,
                    "referencePolicy": {"type": "Source"},
                }
            ],
        },
    }


def _triggers(service: SiteService) -> str:
    """Return the triggers of a service: a new image of its tag goes into all containers of the pod at once."""
    tag = service.image.chosen_by.rpartition(":")[2]
    places = [f'containers[?(@.name=="{service.name}")]']
    if service.filled:
        places.append(f'initContainers[?(@.name=="{service.name}-code")]')
    source = {"kind": "ImageStreamTag", "name": f"{service.name}:{tag}"}
    triggers: Sequence[dict[str, Any]] = [
        {"fieldPath": f"spec.template.spec.{place}.image", "from": source, "paused": False} for place in places
    ]
    return json.dumps(triggers, separators=(",", ":"))
