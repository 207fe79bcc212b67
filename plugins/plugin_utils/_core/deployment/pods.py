# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pods of a site, as Kubernetes, OpenShift and ``podman kube play`` run them.

They keep the rules of the Pod Security Standard ``restricted``
(https://kubernetes.io/docs/concepts/security/pod-security-standards/).
"""

from __future__ import annotations

from typing import Any

from .labels import selector, service_labels
from .site import SECRETS_FOLDER, FilledFolder, Probe, Site, SiteService

#: The volume with the files of the secrets.
_SECRETS = "secrets"
#: The folder that the first container fills from the image.
_FILLED = "code"
_DIGITS = 12

#: Seconds between the end of a pod's membership in its service and the signal to its server. CoreDNS keeps the address
#: of a pod for up to 5 seconds, and the proxy asks every second.
_LEAVE_SECONDS = 10
_LIVENESS_INTERVAL = 10
_RESTRICTED: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def pod_template(site: Site, service: SiteService, secret: str, *, fixed_users: bool) -> dict[str, Any]:
    """Return the template of a service's pods.

    Args:
        site: The site.
        service: One of its services.
        secret: Name of the stored secret with its files; not used if it has none.
        fixed_users: Whether pods run as the users of their images. OpenShift chooses users itself.
    """
    filling = [_filling_container(service, service.filled)] if service.filled else []
    labels = service_labels(site, service)
    return {
        "metadata": {"labels": labels},
        "spec": {
            **({"affinity": _spread(site, service)} if service.replicas > 1 else {}),
            "automountServiceAccountToken": False,
            "containers": [_server(site, service)],
            "enableServiceLinks": False,
            **({"initContainers": filling} if filling else {}),
            "securityContext": _pod_security(service, fixed_users=fixed_users),
            "terminationGracePeriodSeconds": service.stop_seconds + _leave_seconds(service),
            "volumes": _volumes(site, service, secret),
        },
    }


def claim_name(site: Site, volume: str) -> str:
    """Return the name of the claim for a volume."""
    return f"{site.name}-{volume}"


def _pod_security(service: SiteService, *, fixed_users: bool) -> dict[str, Any]:
    users = {
        "fsGroup": service.gid or service.uid,
        # A large volume would otherwise be walked through at each start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "runAsGroup": service.gid,
        "runAsUser": service.uid,
    }
    return {
        **(users if fixed_users else {}),
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _spread(site: Site, service: SiteService) -> dict[str, Any]:
    """Prefer one replica on each machine."""
    term = {
        "labelSelector": {"matchLabels": selector(site, service)},
        "topologyKey": "kubernetes.io/hostname",
    }
    preferred = [{"podAffinityTerm": term, "weight": 100}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _server(_site: Site, service: SiteService) -> dict[str, Any]:
    leaving = _leave_seconds(service)
    return {
        "env": [{"name": name, "value": value} for name, value in service.environment_with_secrets.items()],
        "image": service.image.reference,
        "imagePullPolicy": "IfNotPresent",
        **({"lifecycle": {"preStop": {"exec": {"command": ["sleep", str(leaving)]}}}} if leaving else {}),
        "livenessProbe": _probe(service, service.probe.retries, _LIVENESS_INTERVAL),
        "name": service.name,
        # It only informs. But Podman 4 publishes on the machine what it says.
        **({"ports": [{"containerPort": service.port, "name": "main"}]} if service.published is not None else {}),
        "readinessProbe": _probe(service, service.probe.retries, service.probe.interval),
        "resources": _resources(service),
        "securityContext": _RESTRICTED,
        # The other two probes begin after this one has succeeded once.
        "startupProbe": _probe(service, _attempts(service.probe), service.probe.interval),
        "volumeMounts": _mounts(service),
    }


def _filling_container(service: SiteService, filled: FilledFolder) -> dict[str, Any]:
    return {
        "command": list(filled.command),
        "env": [{"name": name, "value": value} for name, value in service.environment_with_secrets.items()],
        "image": service.image.reference,
        "imagePullPolicy": "IfNotPresent",
        "name": f"{service.name}-{_FILLED}",
        "resources": _resources(service),
        "securityContext": _RESTRICTED,
        "volumeMounts": [
            {"mountPath": filled.path, "name": _filled_name(service)},
            *({"mountPath": path, "name": _scratch_name(service, path)} for path in sorted(service.scratch)),
        ],
        "workingDir": filled.path,
    }


def _leave_seconds(service: SiteService) -> int:
    """Return how long a pod goes on before it gets the signal. An exclusive service must rather end soon."""
    return 0 if service.exclusive else _LEAVE_SECONDS


def _attempts(probe: Probe) -> int:
    return max(probe.start_period // probe.interval, probe.retries)


def _probe(service: SiteService, failures: int, interval: int) -> dict[str, Any]:
    probe = service.probe
    how: dict[str, Any] = (
        {"exec": {"command": list(probe.test)}} if probe.test else {"tcpSocket": {"port": service.port}}
    )
    return {**how, "failureThreshold": failures, "periodSeconds": interval, "timeoutSeconds": probe.timeout}


def _resources(service: SiteService) -> dict[str, Any]:
    limits = service.limits
    return {
        "limits": {"cpu": f"{limits.millicpus}m", "memory": str(limits.memory)},
        "requests": {
            "cpu": f"{limits.millicpus * limits.reserved // 100}m",
            "memory": str(limits.memory * limits.reserved // 100),
        },
    }


def _mounts(service: SiteService) -> list[dict[str, Any]]:
    """Return the mounts of the server, each after those that contain it."""
    mounts: list[dict[str, Any]] = [
        *({"mountPath": mount.path, "name": mount.volume} for mount in service.volumes),
        *({"mountPath": path, "name": _scratch_name(service, path)} for path in service.scratch),
    ]
    if service.filled:
        mounts.append({"mountPath": service.filled.path, "name": _filled_name(service), "readOnly": True})
    if service.secrets:
        mounts.append({"mountPath": SECRETS_FOLDER, "name": _SECRETS, "readOnly": True})
    return sorted(mounts, key=lambda mount: str(mount["mountPath"]))


def _volumes(site: Site, service: SiteService, secret: str) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [
        *(
            {"name": mount.volume, "persistentVolumeClaim": {"claimName": claim_name(site, mount.volume)}}
            for mount in service.volumes
        ),
        *(
            {"emptyDir": {"medium": "Memory", "sizeLimit": str(size)}, "name": _scratch_name(service, path)}
            for path, size in service.scratch.items()
        ),
    ]
    if service.filled:
        volumes.append({"emptyDir": {}, "name": _filled_name(service)})
    if service.secrets:
        keys = sorted({each.key for each in service.secrets})
        # 0444: the group of a pod cannot be known on OpenShift. Only the processes of the pod see the file.
        items = [{"key": key, "path": key} for key in keys]
        # Podman 4.3 fails without `optional`.
        source = {"defaultMode": 0o444, "items": items, "optional": False, "secretName": secret}
        volumes.append({"name": _SECRETS, "secret": source})
    return sorted(volumes, key=lambda volume: str(volume["name"]))


def _filled_name(service: SiteService) -> str:
    """Return a name that another image never has: Podman 4.3 has one volume of a name for all pods."""
    return f"{service.name}-{_FILLED}-{service.image.config.rpartition(':')[2][:_DIGITS]}"


def _scratch_name(service: SiteService, path: str) -> str:
    return f"{service.name}{path.replace('/', '-').rstrip('-')}"
