"""A cluster in memory: it stores objects as Kubernetes does, and its Deployments replace pods that do not exist."""

from __future__ import annotations

import base64
import copy
import itertools
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.cluster import (
    MANAGER,
    ClusterUnreachableError,
    FieldConflictError,
    title,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from field_sets import as_fields_v1, field_set, from_fields_v1, merge, remove, value_at

KubeObject = dict[str, Any]
Key = tuple[str, str]

DEFAULTS: dict[str, Any] = {
    "imagePullPolicy": "IfNotPresent",
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}


class RefusedError(Exception):
    """The answer is an object of kind ``Status``."""

    def __init__(self, code: int, reason: str, message: str, causes: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": {"causes": causes or []},
            "code": code,
        }


@dataclass
class FakeCluster:
    """The store of a cluster, with a controller for Deployments."""

    objects: dict[Key, KubeObject] = field(default_factory=dict)
    #: Images whose containers never become healthy.
    broken: set[str] = field(default_factory=set)
    #: Answers to requests for objects, by kind and name.
    refused: dict[Key, RefusedError] = field(default_factory=dict)
    #: What was changed, in order: ``apply Deployment web``.
    changes: list[str] = field(default_factory=list)
    #: Whether nothing looks at Deployments.
    is_frozen: bool = False
    #: Number of requests that are not answered.
    silent: int = 0
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def add_namespace(self, name: str) -> None:
        self.objects["Namespace", name] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}

    def deployment(self, name: str) -> KubeObject:
        return self.objects["Deployment", name]

    def get(self, kind: str, name: str) -> KubeObject:
        """Answer a request for an object. Each request for a Deployment lets its controller do one step."""
        self._check(kind, name)
        if (kind, name) not in self.objects:
            raise RefusedError(404, "NotFound", f'{kind.lower()}s "{name}" not found')
        found = self.objects[kind, name]
        if kind == "Deployment" and not self.is_frozen:
            self._control(found)
        return copy.deepcopy(found)

    def select(self, kind: str, labels: dict[str, str]) -> list[KubeObject]:
        if kind == "Pod":
            return self._pods(labels)
        found = [each for (of_kind, _), each in self.objects.items() if of_kind == kind]
        return [each for each in found if labels.items() <= each["metadata"].get("labels", {}).items()]

    def remove(self, kind: str, name: str) -> None:
        self._check(kind, name)
        if self.objects.pop((kind, name), None) is None:
            raise RefusedError(404, "NotFound", f'{kind.lower()}s "{name}" not found')
        self.changes.append(f"delete {kind} {name}")

    def patch(self, manifest: KubeObject, manager: str, *, force: bool, dry_run: bool) -> KubeObject:
        """Answer a request with the content type ``application/apply-patch+yaml``."""
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        self._check(kind, name)
        namespace = manifest["metadata"].get("namespace")
        if namespace and ("Namespace", namespace) not in self.objects:
            raise RefusedError(404, "NotFound", f'namespaces "{namespace}" not found')
        _validate(manifest)
        live = copy.deepcopy(self.objects.get((kind, name)))
        result = self._applied(live or {"metadata": {}}, manifest, manager, force=force)
        if live is not None and _without_times(result) == _without_times(live):
            return live  # nothing changed, and so the version stays
        metadata = result["metadata"]
        metadata["resourceVersion"] = str(next(self._numbers))
        if live is None:
            metadata |= {"uid": f"uid-{name}", "creationTimestamp": self._time(), "generation": 1}
        elif live.get("spec") != result.get("spec"):
            metadata["generation"] = live["metadata"]["generation"] + 1
        if not dry_run:
            self.objects[kind, name] = result
            self.changes.append(f"apply {kind} {name}")
        return copy.deepcopy(result)

    def edit(self, kind: str, name: str, path: tuple[str, ...], value: Any, manager: str) -> None:
        """Somebody sets a field, as ``kubectl edit`` does."""
        found = self.objects[kind, name]
        holder = value_at(found, path[:-1])
        holder[path[-1][2:]] = value
        found["metadata"]["generation"] += 1
        _take(found, {path}, by=manager, operation="Update")

    def _applied(self, live: KubeObject, manifest: KubeObject, manager: str, *, force: bool) -> KubeObject:
        wanted = field_set(manifest)
        others = [each for each in _managed(live) if not _is(each, manager, "Apply")]
        conflicts = [
            {
                "reason": "FieldManagerConflict",
                "message": f'conflict with "{other["manager"]}" using {manifest["apiVersion"]}',
                "field": "".join(f".{element[2:]}" for element in path),
            }
            for other in others
            for path in sorted(wanted & from_fields_v1(other["fieldsV1"]))
            if path[-1] != "." and value_at(live, path) != value_at(manifest, path)
        ]
        if conflicts and not force:
            message = f"Apply failed with {len(conflicts)} conflict(s)"
            raise RefusedError(409, "Conflict", message, conflicts)
        lost = {path for path in wanted if value_at(live, path) != value_at(manifest, path)}
        for other in others:
            other["fieldsV1"] = as_fields_v1(from_fields_v1(other["fieldsV1"]) - lost)
        before = {
            path for each in _managed(live) if _is(each, manager, "Apply") for path in from_fields_v1(each["fieldsV1"])
        }
        kept = {path for other in others for path in from_fields_v1(other["fieldsV1"])}
        for path in sorted(before - wanted - kept, key=lambda path: (len(path), path[-1] != ".")):
            remove(live, path)
        result: KubeObject = merge(live, manifest)
        _set_defaults(result)
        result["metadata"]["managedFields"] = others
        _take(result, wanted, by=manager, operation="Apply", version=manifest["apiVersion"])
        return result

    def _control(self, deployment: KubeObject) -> None:
        """Do one step of the controller of Deployments."""
        metadata, spec = deployment["metadata"], deployment["spec"]
        status = deployment.setdefault("status", {})
        pods = str(spec["template"])
        image = spec["template"]["spec"]["containers"][0]["image"]
        if status.get("observedGeneration") != metadata["generation"]:
            is_new = status.get("pods") != pods
            status["observedGeneration"], status["pods"] = metadata["generation"], pods
            if is_new:  # an old verdict stays until the first pod makes progress, as in Kubernetes
                status["updatedReplicas"] = 0
                status.setdefault("replicas", 0)
                status["step"] = 0
            return
        status["step"] = status.get("step", 0) + 1
        if image in self.broken:
            status["updatedReplicas"] = 1
            if status["step"] == 2:
                self._condition(status, "ProgressDeadlineExceeded", f'ReplicaSet "{metadata["name"]}" has timed out.')
        elif status["step"] >= 2:
            status |= dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), spec["replicas"])
            self._condition(status, "NewReplicaSetAvailable", "")

    def _condition(self, status: KubeObject, reason: str, message: str) -> None:
        old = next((each for each in status.get("conditions", []) if each["reason"] == reason), None)
        if old is None:
            new = {"type": "Progressing", "reason": reason, "message": message, "lastUpdateTime": self._time()}
            status["conditions"] = [new]

    def _pods(self, labels: dict[str, str]) -> list[KubeObject]:
        pods = []
        for (kind, name), found in self.objects.items():
            spec = found.get("spec", {}).get("template", {})
            if kind != "Deployment" or not labels.items() <= spec["metadata"]["labels"].items():
                continue
            if spec["spec"]["containers"][0]["image"] in self.broken:
                state = {
                    "waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}
                }
                ended = {"terminated": {"exitCode": 3, "reason": "Error"}}
                container = {"name": name, "ready": False, "state": state, "lastState": ended}
                pods.append({"metadata": {"name": f"{name}-1"}, "status": {"containerStatuses": [container]}})
        return pods

    def _check(self, kind: str, name: str) -> None:
        if refusal := self.refused.get((kind, name)):
            raise refusal

    def _time(self) -> str:
        return f"2026-11-29T20:00:{next(self._numbers):02d}Z"


class InMemory:
    """The protocol ``Cluster``, without HTTP."""

    def __init__(self, store: FakeCluster) -> None:
        self.store = store

    def apply(self, manifest: KubeObject, *, dry_run: bool = False, force: bool = False) -> KubeObject:
        found: KubeObject = self._answer(
            manifest, lambda: self.store.patch(manifest, MANAGER, force=force, dry_run=dry_run)
        )
        return found

    def read(self, manifest: KubeObject) -> KubeObject | None:
        try:
            found: KubeObject = self._answer(
                manifest, lambda: self.store.get(manifest["kind"], manifest["metadata"]["name"])
            )
        except EngineError as error:
            if "404" in str(error):
                return None
            raise
        return found

    def select(self, kind: str, label: str) -> list[KubeObject]:
        found = self.store.select(kind, dict(part.split("=") for part in label.split(",")))
        return [{"apiVersion": "v1", "kind": kind, **each} for each in found]

    def delete(self, manifest: KubeObject) -> None:
        self._answer(manifest, lambda: self.store.remove(manifest["kind"], manifest["metadata"]["name"]))

    def _answer(self, manifest: KubeObject, request: Any) -> Any:
        if self.store.silent:
            self.store.silent -= 1
            raise ClusterUnreachableError("the cluster does not answer")
        try:
            return request()
        except RefusedError as error:
            if error.code == 409:
                raise FieldConflictError(f"{title(manifest)}: {error.status}") from error
            raise EngineError(f"{title(manifest)}: {error.code} {error}") from error


def _managed(found: KubeObject) -> list[KubeObject]:
    managed: list[KubeObject] = found["metadata"].get("managedFields", [])
    return managed


def _is(entry: KubeObject, manager: str, operation: str) -> bool:
    return (entry["manager"], entry["operation"]) == (manager, operation)


def _take(found: KubeObject, paths: set[Any], *, by: str, operation: str, version: str = "apps/v1") -> None:
    entry = {"manager": by, "operation": operation, "apiVersion": version, "time": "now", "fieldsType": "FieldsV1"}
    others = [each for each in _managed(found) if not _is(each, by, operation)]
    if operation == "Update":
        for other in others:
            other["fieldsV1"] = as_fields_v1(from_fields_v1(other["fieldsV1"]) - paths)
    found["metadata"]["managedFields"] = [*others, {**entry, "fieldsV1": as_fields_v1(paths)}]


def _without_times(found: KubeObject) -> KubeObject:
    entries = sorted(str(entry) for entry in _managed(found))
    return {**found, "metadata": {**found["metadata"], "managedFields": entries}}


def _set_defaults(found: KubeObject) -> None:
    if found["kind"] == "Deployment":
        found["spec"].setdefault("replicas", 1)
        pod = found["spec"]["template"]["spec"]
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            for key, value in DEFAULTS.items():
                container.setdefault(key, value)
            for port in container.get("ports", []):
                port.setdefault("protocol", "TCP")
    if found["kind"] == "Secret":
        written = {key: base64.b64encode(value.encode()).decode() for key, value in found.pop("stringData", {}).items()}
        found["data"] = {**found.get("data", {}), **written}
    if found["kind"] == "Service":
        found["spec"].setdefault("clusterIP", "10.96.0.17")
        for port in found["spec"]["ports"]:
            port.setdefault("protocol", "TCP")


def _validate(manifest: KubeObject) -> None:
    if manifest["kind"] != "Deployment":
        return
    for container in manifest["spec"]["template"]["spec"]["containers"]:
        if not container.get("image"):
            name = manifest["metadata"]["name"]
            message = f'Deployment.apps "{name}" is invalid: spec.template.spec.containers[0].image: Required value'
            raise RefusedError(422, "Invalid", message)
