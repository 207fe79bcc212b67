# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders a site for Docker Swarm: specifications of services, in the form of the Engine API.

Fields: https://docs.docker.com/reference/api/engine/ (`ServiceSpec`). Times are in nanoseconds there.

Services find each other by DNS (``dnsrr``). The other mode gives a service one virtual address, which needs IPVS in the
kernel. So visitors come through entries in the network of the machine (:mod:`.swarm_entry`), or through Swarm's own
mesh if ``mesh`` says that the kernel has IPVS, or through a published port of the machine. Two containers cannot have
one published port, so its owner stops before its successor starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..build_key.parts import digest_value
from .labels import PORT, SITE, SPEC, container_labels, selector
from .secret_values import SecretValues
from .site import SecretFile, Site, SiteService, SiteVolume

Spec = dict[str, Any]

#: The network that every engine has, which is that of its machine.
MACHINE_NETWORK = "host"

_SECOND = 1_000_000_000
#: Swarm considers a new container as failed if it ends in this time after it became healthy.
_MONITOR_SECONDS = 5
#: Mode of a file of a secret. Its owner is the user of the service.
_SECRET_MODE = 0o400
_TMPFS_MODE = 0o1777


#: If the engine is killed, Docker can lose the name of a container that it starts again (seen with 20.10): the
#: container works, and nobody finds it. So a container whose name is unknown 5 seconds after its first success is not
#: healthy, and Swarm makes a new one. Before the first success, Swarm keeps the name back.
_CHECK_WITH_NAME = """\
"$@" || exit 1
first=/tmp/.first-success
[ -e $first ] || : >$first
[ $(($(date +%s) - $(stat -c %Y $first))) -lt 5 ] || getent ahostsv4 "$0" >/dev/null || {
  echo "no container has the name $0"
  exit 1
}
"""


class SwarmSettings(msgspec.Struct, frozen=True):
    """What a user says about the Swarm."""

    #: Whether the published port belongs to Swarm's mesh, on all machines. It needs IPVS in their kernels.
    mesh: bool = False
    #: Rules for the machines that services may run on: ``node.labels.site == shop``.
    constraints: tuple[str, ...] = ()
    #: ID of the machine that visitors reach, if the Swarm has several.
    entry_machine: str = ""
    #: Whether the engine has a second interval for health checks, for the time until the first success.
    two_intervals: bool = False


class SwarmSecret(msgspec.Struct, frozen=True):
    """A secret in Swarm."""

    #: The key in ``deploy_secrets``.
    key: str
    #: Its name in Swarm, which contains a digest of its value.
    name: str


def network_name(site: Site) -> str:
    """Return the name of a site's network."""
    return site.name


def volume_name(site: Site, volume: str) -> str:
    """Return the name of a site's volume in the engine."""
    return f"{site.name}_{volume}"


def service_name(site: Site, service: str) -> str:
    """Return the name of a service in Swarm. Inside of the site's network, its own name is enough."""
    return f"{site.name}_{service}"


def swarm_secrets(site: Site, secrets: SecretValues) -> dict[str, SwarmSecret]:
    """Return the secrets of a site by key, with the names that they have in Swarm."""
    return {
        key: SwarmSecret(key, f"{site.name}_{key}_{secrets.select([key]).digest(f'{site.name}/{key}')}")
        for key in site.secret_keys
    }


def service_spec(
    site: Site,
    service: SiteService,
    swarm: SwarmSettings,
    secret_ids: Mapping[str, tuple[str, str]],
    deployment: str,
) -> Spec:
    """Return the specification of a service.

    Args:
        site: The site.
        service: One of its services.
        swarm: Where it runs.
        secret_ids: By key, the ID of the secret in Swarm, and its name there.
        deployment: The record of the deployment. It is a label of the service only, so a deployment that changes
            nothing else replaces no container.
    """
    spec = _spec(site, service, swarm, secret_ids)
    # IDs are not known before a secret is stored. Its name says as much, because it contains a digest of the value.
    comparable = _spec(site, service, swarm, {key: ("", name) for key, (_id, name) in secret_ids.items()})
    digest = digest_value("spec", comparable, secret=False)
    # Containers carry it, too: so it is known which of them belong to this specification.
    spec["TaskTemplate"]["ContainerSpec"]["Labels"][SPEC] = digest
    port = {PORT: str(held)} if (held := held_port(service)) is not None else {}
    return {**spec, "Labels": {**container_labels(site, service, deployment), **port, SPEC: digest}}


def held_port(service: SiteService) -> int | None:
    """Return the port of the machine that a service holds; ``None`` if it holds none."""
    return service.machine_port if service.machine_port is not None else service.published


def may_overlap(service: SiteService, swarm: SwarmSettings) -> bool:
    """Say whether a container of a service may start before its predecessor ends."""
    return not service.exclusive and (swarm.mesh or service.published is None)


def _spec(site: Site, service: SiteService, swarm: SwarmSettings, secret_ids: Mapping[str, tuple[str, str]]) -> Spec:
    start_first = may_overlap(service, swarm)
    return {
        "EndpointSpec": _endpoint(service, swarm),
        "Mode": {"Replicated": {"Replicas": service.replicas}},
        "Name": service_name(site, service.name),
        "RollbackConfig": _replacement(start_first=start_first, on_failure="pause"),
        "TaskTemplate": {
            "ContainerSpec": _container(site, service, swarm, secret_ids),
            "ForceUpdate": 0,
            "Networks": [_network(site, service)],
            "Placement": {"Constraints": _constraints(service, swarm)},
            "Resources": _resources(service),
            "RestartPolicy": {"Condition": "any", "Delay": _SECOND // 5, "MaxAttempts": 0},
        },
        "UpdateConfig": _replacement(start_first=start_first, on_failure="rollback"),
    }


def _network(site: Site, service: SiteService) -> Spec:
    if service.machine_port is not None:
        return {"Target": MACHINE_NETWORK}
    return {"Aliases": [service.name], "Target": network_name(site)}


def _constraints(service: SiteService, swarm: SwarmSettings) -> list[str]:
    here = [f"node.id == {swarm.entry_machine}"] if service.on_entry_machine and swarm.entry_machine else []
    return [*swarm.constraints, *here]


def _container(
    site: Site, service: SiteService, swarm: SwarmSettings, secret_ids: Mapping[str, tuple[str, str]]
) -> Spec:
    return {
        "CapabilityDrop": ["ALL"],
        "Env": [f"{name}={value}" for name, value in service.environment_with_secrets.items()],
        "Healthcheck": _health_check(site, service, swarm),
        "Image": service.image.reference,
        "Init": False,
        "Labels": dict(selector(site, service)),
        "Mounts": _mounts(site, service),
        "ReadOnly": True,
        "Secrets": [_secret(service, secret, *secret_ids[secret.key]) for secret in service.secrets],
        "StopGracePeriod": service.stop_seconds * _SECOND,
        **({"StopSignal": service.stop_signal} if service.stop_signal else {}),
        "User": f"{service.uid}:{service.gid}",
    }


def _health_check(site: Site, service: SiteService, swarm: SwarmSettings) -> Spec:
    """Return the health check. Without a test, the engine takes that of the image, and only the times are ours."""
    probe = service.probe
    is_found_by_name = service.machine_port is None and bool(site.users_of(service.name))
    test = ["CMD", *probe.test] if probe.test else []
    if test and is_found_by_name and "/tmp" in service.scratch:  # noqa: S108 - of the container
        test = ["CMD", "sh", "-c", _CHECK_WITH_NAME, service.name, *probe.test]
    start = {"StartInterval": probe.interval * _SECOND} if swarm.two_intervals else {}
    return {
        **start,
        "Interval": (probe.calm_interval if swarm.two_intervals else probe.interval) * _SECOND,
        "Retries": probe.retries,
        "StartPeriod": probe.start_period * _SECOND,
        "Test": test,
        "Timeout": probe.timeout * _SECOND,
    }


def _mounts(site: Site, service: SiteService) -> list[Spec]:
    """Return the mounts.

    A folder that the container fills is not among them: the image declares it as a volume, so each container gets a
    new, empty one, which ends with the container.
    """
    mounts = []
    for mount in service.volumes:
        volume = site.volume(mount.volume)
        mounts.append(_volume(site, volume, mount.path, read_only=False))
        if mount.like:
            # A new volume gets the owner and the mode of the directory in the image that it is mounted on.
            mounts.append(_volume(site, volume, mount.like, read_only=True))
    for path, size in service.scratch.items():
        mounts.append({"Target": path, "TmpfsOptions": {"Mode": _TMPFS_MODE, "SizeBytes": size}, "Type": "tmpfs"})
    return sorted(mounts, key=lambda each: str(each["Target"]))


def _volume(site: Site, volume: SiteVolume, path: str, *, read_only: bool) -> Spec:
    driver = {"DriverConfig": {"Name": volume.driver, "Options": dict(volume.options)}} if volume.driver else {}
    return {
        "ReadOnly": read_only,
        "Source": volume_name(site, volume.name),
        "Target": path,
        "Type": "volume",
        "VolumeOptions": {"Labels": {SITE: site.name}, **driver},
    }


def _secret(service: SiteService, secret: SecretFile, identifier: str, name: str) -> Spec:
    return {
        "File": {"GID": str(service.gid), "Mode": _SECRET_MODE, "Name": secret.key, "UID": str(service.uid)},
        "SecretID": identifier,
        "SecretName": name,
    }


def _resources(service: SiteService) -> Spec:
    limits = service.limits
    nano = limits.millicpus * 1_000_000
    return {
        "Limits": {"MemoryBytes": limits.memory, "NanoCPUs": nano, "Pids": limits.processes},
        "Reservations": {
            "MemoryBytes": limits.memory * limits.reserved // 100,
            "NanoCPUs": nano * limits.reserved // 100,
        },
    }


def _replacement(*, start_first: bool, on_failure: str) -> Spec:
    """Return how containers are replaced: one at a time, and the next one after this one is healthy."""
    return {
        "Delay": 0,
        "FailureAction": on_failure,
        "MaxFailureRatio": 0,
        "Monitor": _MONITOR_SECONDS * _SECOND,
        "Order": "start-first" if start_first else "stop-first",
        "Parallelism": 1,
    }


def _endpoint(service: SiteService, swarm: SwarmSettings) -> Spec:
    if service.published is None:
        return {"Mode": "dnsrr"}
    mode = "ingress" if swarm.mesh else "host"
    port = {
        "Protocol": "tcp",
        "PublishMode": mode,
        "PublishedPort": service.published,
        "TargetPort": service.port,
    }
    return {"Mode": "vip" if swarm.mesh else "dnsrr", "Ports": [port]}
