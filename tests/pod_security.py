"""The rules of the Pod Security Standard ``restricted``, which contains ``baseline``.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"),
}
_PROFILES = {"Localhost", "RuntimeDefault"}
_MAY_BE_ADDED = {"NET_BIND_SERVICE"}


def violations(pod: dict[str, Any]) -> Iterator[str]:
    """Yield how the specification of a pod breaks the rules."""
    security = pod.get("securityContext") or {}
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield f"{field} is true"
    if security.get("sysctls"):
        yield "sysctls are set"
    for volume in pod.get("volumes") or ():
        if not set(volume) - {"name"} <= _VOLUMES:
            yield f"volume {volume['name']} has a type that is not allowed"
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in pod.get(kind) or ():
            for violation in _of_container(container, security):
                yield f"container {container['name']}: {violation}"


def _of_container(container: dict[str, Any], pod: dict[str, Any]) -> Iterator[str]:
    own = container.get("securityContext") or {}
    capabilities = own.get("capabilities") or {}
    ports, probes = container.get("ports") or (), ("livenessProbe", "readinessProbe", "startupProbe")
    rules = {
        "privileged is true": own.get("privileged"),
        "allowPrivilegeEscalation is not false": own.get("allowPrivilegeEscalation") is not False,
        "not all capabilities are dropped": "ALL" not in (capabilities.get("drop") or ()),
        "capabilities are added": set(capabilities.get("add") or ()) - _MAY_BE_ADDED,
        "runAsNonRoot is not true": own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True,
        "runAsUser is 0": own.get("runAsUser", pod.get("runAsUser", 1)) == 0,
        "seccompProfile is not RuntimeDefault": _profile(own, pod) not in _PROFILES,
        "procMount is set": own.get("procMount", "Default") != "Default",
        "SELinux has a user or a role": (own.get("seLinuxOptions") or {}).keys() & {"role", "user"},
        "a port of the machine is used": any(port.get("hostPort") for port in ports),
        "a probe asks a different host": any("host" in _http(container, name) for name in probes),
    }
    yield from (rule for rule, is_broken in rules.items() if is_broken)


def _profile(own: dict[str, Any], pod: dict[str, Any]) -> str:
    return str((own.get("seccompProfile") or pod.get("seccompProfile") or {}).get("type"))


def _http(container: dict[str, Any], probe: str) -> dict[str, Any]:
    found: dict[str, Any] = (container.get(probe) or {}).get("httpGet") or {}
    return found
