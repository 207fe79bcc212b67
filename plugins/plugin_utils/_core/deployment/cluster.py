# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Access to a cluster, with the ``kubernetes`` client.

The client is optional: only this module needs it, and imports it when it is used. Objects are applied on the server
(server-side apply), so fields of others, such as the number of replicas that an autoscaler chose, stay as they are.

The kinds that we render are known, so the cluster is not asked for its kinds. The client would keep the answer in a
file in /tmp.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from typing import Any, Protocol

import urllib3

from ..errors import EngineError, describe_error
from .kubernetes import KubeObject

#: The name by which the cluster remembers which fields are ours.
MANAGER = "tierwright"
#: Seconds to connect, and seconds without an answer.
_TIMEOUT = (10, 60)

_NOT_FOUND, _CONFLICT, _TOO_MANY, _SERVER_ERROR = 404, 409, 429, 500

_PLURALS = {
    "Deployment": "deployments",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "ImageStream": "imagestreams",
    "Ingress": "ingresses",
    "Namespace": "namespaces",
    "NetworkPolicy": "networkpolicies",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Pod": "pods",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "Route": "routes",
    "Secret": "secrets",
    "Service": "services",
}

#: Versions of kinds that are selected, unless it is ``v1``.
_SELECTED_VERSIONS = {
    "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "ImageStream": "image.openshift.io/v1",
    "Ingress": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
    "Route": "route.openshift.io/v1",
}


class ClusterUnreachableError(EngineError):
    """The cluster does not answer at the moment, or says that it cannot."""


class FieldConflictError(EngineError):
    """An object cannot be applied without taking fields from somebody else. The message says which, and from whom."""


class Cluster(Protocol):
    """What is asked of a cluster. The manifest of an object says which object is meant."""

    def apply(self, manifest: KubeObject, *, dry_run: bool = False, force: bool = False) -> KubeObject:
        """Make an object what the manifest says, and return it.

        Args:
            manifest: The fields that are ours.
            dry_run: Whether to change nothing, and to return what the object would be.
            force: Whether to take fields that somebody else has set to a different value.

        Raises:
            FieldConflictError: Somebody else has set a field, and ``force`` is false.
            ClusterUnreachableError: The cluster does not answer.
            EngineError: The cluster rejected it.
        """

    def read(self, manifest: KubeObject) -> KubeObject | None:
        """Read an object; ``None`` if there is none.

        Raises:
            ClusterUnreachableError: The cluster does not answer.
            EngineError: The cluster refused.
        """

    def select(self, kind: str, label: str) -> list[KubeObject]:
        """Return the objects of a kind in the site's namespace that carry a label; none if there is no such kind.

        Raises:
            ClusterUnreachableError: The cluster does not answer.
            EngineError: The cluster refused.
        """

    def delete(self, manifest: KubeObject) -> None:
        """Remove an object. It is no error if it is gone already.

        Raises:
            ClusterUnreachableError: The cluster does not answer.
            EngineError: The cluster refused.
        """


def connect_cluster(namespace: str, context: str | None) -> Cluster:
    """Connect to a cluster, as ``kubectl`` would.

    Args:
        namespace: The namespace of the site.
        context: The context of the configuration; ``None`` for the current one, or for that of the pod that runs this.

    Raises:
        EngineError: The client is not installed, or its configuration is wrong.
        ClusterUnreachableError: The cluster does not answer.
    """
    try:
        client = importlib.import_module("kubernetes.client")
        config = importlib.import_module("kubernetes.config")
        dynamic = importlib.import_module("kubernetes.dynamic")
    except ImportError as error:
        raise EngineError(
            "the Python package kubernetes is not installed; install tierwright[kubernetes], or set deploy_render_to "
            "and apply the files yourself"
        ) from error
    settings = client.Configuration()
    settings.retries = 0
    try:
        files = os.environ.get("KUBECONFIG") or None  # the client reads the variable only when it is imported
        if context is None and not _has_configuration(config, files):
            config.load_incluster_config(client_configuration=settings)
        else:
            config.load_kube_config(files, context=context, client_configuration=settings)
    except Exception as error:
        raise EngineError(
            f"no cluster is configured: {describe_error(error)}; set KUBECONFIG to a file as kubectl needs it"
            + (f", and deploy_context (now {context!r}) to one of its contexts" if context else "")
        ) from error
    cluster = _Client(dynamic.DynamicClient(client.ApiClient(settings), discoverer=_ask_nothing), namespace)
    cluster.request("get", "/version", f"the cluster {settings.host}")
    return cluster


def _has_configuration(config: Any, files: str | None) -> bool:
    try:
        config.list_kube_config_contexts(files)
    except config.ConfigException:
        return False
    return True


def _ask_nothing(_client: Any, _cache_file: Any) -> None:
    return None


class _Client:
    """A real cluster."""

    def __init__(self, client: Any, namespace: str) -> None:
        self._client, self._namespace = client, namespace

    def apply(self, manifest: KubeObject, *, dry_run: bool = False, force: bool = False) -> KubeObject:
        options = {"dry_run": "All"} if dry_run else {}
        return self.request(
            "patch", _path(manifest), title(manifest), is_secret=manifest["kind"] == "Secret", body=manifest,
            content_type="application/apply-patch+yaml", field_manager=MANAGER, force_conflicts=force, **options,
        )  # fmt: skip

    def read(self, manifest: KubeObject) -> KubeObject | None:
        try:
            return self.request("get", _path(manifest), title(manifest))
        except _NotThereError:
            return None

    def select(self, kind: str, label: str) -> list[KubeObject]:
        version = _SELECTED_VERSIONS.get(kind, "v1")
        path = f"{_root(version)}/namespaces/{self._namespace}/{_PLURALS[kind]}"
        what = f"objects of kind {kind} in namespace {self._namespace}"
        try:
            found: list[KubeObject] = self.request("get", path, what, label_selector=label)["items"]
        except _NotThereError:
            return []
        # The objects in a list do not say what they are.
        return [{"apiVersion": version, "kind": kind, **each} for each in found]

    def delete(self, manifest: KubeObject) -> None:
        try:
            self.request("delete", _path(manifest), title(manifest), content_type="application/json")
        except _NotThereError:
            return

    def request(self, method: str, path: str, what: str, *, is_secret: bool = False, **options: Any) -> dict[str, Any]:
        """Send a request.

        Args:
            method: Of HTTP.
            path: The path in the API.
            what: What is requested, for messages.
            is_secret: Whether the request contains a secret, which the cluster may quote in its answer.
            options: More arguments of the client.

        Raises:
            _NotThereError: It does not exist.
            FieldConflictError: Fields belong to somebody else.
            ClusterUnreachableError: The cluster does not answer.
            EngineError: The cluster refused, or its answer is not JSON.
        """
        try:
            response = self._client.request(
                method, path, serialize=False, query_params=[], header_params={}, _request_timeout=_TIMEOUT, **options
            )
            answer: dict[str, Any] = json.loads(response.data)
        except urllib3.exceptions.HTTPError as error:
            raise ClusterUnreachableError(f"{what}: the cluster does not answer: {_network_reason(error)}") from error
        except Exception as error:
            raise _refusal(what, error, is_secret=is_secret) from error
        return answer


class _NotThereError(EngineError):
    """The requested object does not exist."""


def title(manifest: KubeObject) -> str:
    """Return the name of an object for messages: ``Deployment wordpress``."""
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def _path(manifest: KubeObject) -> str:
    version, metadata = manifest["apiVersion"], manifest["metadata"]
    place = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{_root(version)}{place}/{_PLURALS[manifest['kind']]}/{metadata['name']}"


def _root(version: str) -> str:
    """Return where the API has the objects of a version: ``v1``, or ``apps/v1``."""
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _network_reason(error: BaseException) -> str:
    """Return the innermost reason of an error of urllib3, whose text shows objects of Python."""
    while inner := getattr(error, "reason", None) or error.__cause__:
        if not isinstance(inner, BaseException):
            break
        error = inner
    return describe_error(error).rpartition(">: ")[2]


def _refusal(what: str, error: Exception, *, is_secret: bool) -> EngineError:
    """Return our error for one of the client, whose own text contains the whole answer."""
    status = getattr(error, "status", None)
    if not isinstance(status, int):
        return EngineError(f"{what}: the cluster's answer cannot be used: {type(error).__name__}")
    answer = _status_object(getattr(error, "body", None))
    reason = str(answer.get("reason") or getattr(error, "reason", "") or "")
    message = "" if is_secret else str(answer.get("message") or "")
    text = f"{what}: the cluster refused it ({status} {reason})" + (f": {message}" if message else "")
    if status == _NOT_FOUND:
        return _NotThereError(text)
    if status == _TOO_MANY or status >= _SERVER_ERROR:
        return ClusterUnreachableError(text)
    causes = (answer.get("details") or {}).get("causes") or []
    taken = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if status == _CONFLICT and taken:
        fields = ", ".join(f"{cause.get('field')} ({cause.get('message')})" for cause in taken)
        return FieldConflictError(f"{what}: {fields}")
    return EngineError(text)


def _status_object(body: Any) -> Mapping[str, Any]:
    """Return the object of kind ``Status`` by which a cluster explains an error; empty if it is something else."""
    try:
        answer = json.loads(body)
    except (TypeError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}
