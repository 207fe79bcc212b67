# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Applies manifests to a cluster with the ``kubernetes`` client, and waits until the site runs.

The client is optional: only this module needs it, and imports it when it is used. Objects are applied on the server
(server-side apply), so fields of others, such as the number of replicas that an autoscaler chose, stay as they are.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..errors import EngineError, describe_error
from .deployment_record import DeployOutcome
from .kubernetes import KubeObject, ManifestGroup
from .labels import SITE

_MANAGER = "tierwright"
_POLL_SECONDS = 1.0


class Cluster(Protocol):
    """What is asked of a cluster. Tests have one in memory."""

    def apply(self, manifest: KubeObject, *, dry_run: bool = False) -> None:
        """Make an object what the manifest says."""

    def read(self, kind: str, name: str) -> KubeObject | None:
        """Read an object; ``None`` if there is none."""

    def names(self, kind: str, label: str) -> list[str]:
        """List the names of the objects that carry a label."""

    def delete(self, kind: str, name: str) -> None:
        """Remove an object."""


def connect_cluster(namespace: str, context: str | None) -> Cluster:
    """Connect to a cluster, as ``kubectl`` would.

    Args:
        namespace: The namespace of the site.
        context: The context of the configuration; ``None`` for the current one, or for that of the pod that runs this.

    Raises:
        EngineError: The client is not installed, or the cluster does not answer.
    """
    try:
        kubernetes = importlib.import_module("kubernetes")
        dynamic = importlib.import_module("kubernetes.dynamic")
    except ImportError as error:
        raise EngineError(
            "the Python package kubernetes is not installed; install tierwright[kubernetes], or set deploy_render_to "
            "and apply the files yourself"
        ) from error
    try:
        if context is None and not _has_configuration(kubernetes):
            kubernetes.config.load_incluster_config()
        else:
            kubernetes.config.load_kube_config(context=context)
        return _DynamicCluster(dynamic.DynamicClient(kubernetes.client.ApiClient()), namespace)
    except Exception as error:
        raise EngineError(f"the cluster does not answer: {describe_error(error)}") from error


def _has_configuration(kubernetes: Any) -> bool:
    try:
        kubernetes.config.list_kube_config_contexts()
    except kubernetes.config.ConfigException:
        return False
    return True


_VERSIONS = {"Deployment": "apps/v1", "Secret": "v1"}


class _DynamicCluster:
    """A real cluster."""

    def __init__(self, client: Any, namespace: str) -> None:
        self._client, self._namespace = client, namespace

    def apply(self, manifest: KubeObject, *, dry_run: bool = False) -> None:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        try:
            resource = self._client.resources.get(api_version=manifest["apiVersion"], kind=kind)
            options = {"dry_run": "All"} if dry_run else {}
            self._client.server_side_apply(
                resource, body=manifest, name=name, namespace=manifest["metadata"].get("namespace"),
                field_manager=_MANAGER, force_conflicts=True, **options,
            )  # fmt: skip
        except Exception as error:
            raise EngineError(f"{kind} {name}: the cluster rejected it: {_summary(error)}") from error

    def read(self, kind: str, name: str) -> KubeObject | None:
        resource = self._client.resources.get(api_version=_VERSIONS[kind], kind=kind)
        try:
            found: KubeObject = resource.get(name=name, namespace=self._namespace).to_dict()
        except Exception as error:
            if getattr(error, "status", None) == 404:  # noqa: PLR2004 - HTTP
                return None
            raise EngineError(f"{kind} {name} cannot be read: {_summary(error)}") from error
        return found

    def names(self, kind: str, label: str) -> list[str]:
        resource = self._client.resources.get(api_version=_VERSIONS[kind], kind=kind)
        try:
            entries = resource.get(namespace=self._namespace, label_selector=label).items
        except Exception as error:
            raise EngineError(f"objects of kind {kind} cannot be listed: {_summary(error)}") from error
        return [str(entry.metadata.name) for entry in entries]

    def delete(self, kind: str, name: str) -> None:
        resource = self._client.resources.get(api_version=_VERSIONS[kind], kind=kind)
        try:
            resource.delete(name=name, namespace=self._namespace)
        except Exception as error:
            raise EngineError(f"{kind} {name} cannot be removed: {_summary(error)}") from error


def _summary(error: Exception) -> str:
    """Return the message of an error of the client. Its text contains the body of the request, perhaps a secret."""
    status, reason = getattr(error, "status", None), getattr(error, "reason", None)
    return f"{status} {reason}" if status else type(error).__name__


def apply_groups(cluster: Cluster, groups: Sequence[ManifestGroup]) -> None:
    """Check all objects on the server first, then apply all of them, in their order.

    A namespace that does not exist yet makes the check of the others impossible, so it is applied before.

    Raises:
        EngineError: The cluster rejected an object. In the check, nothing is changed yet.
    """
    later = [group for group in groups if group.name != "namespace"]
    for group in groups:
        if group not in later:
            for manifest in group.objects:
                cluster.apply(manifest)
    for is_check in (True, False):
        for group in later:
            for manifest in group.objects:
                cluster.apply(manifest, dry_run=is_check)


def wait_for(
    cluster: Cluster, name: str, *, sleep: Callable[[float], None] = time.sleep
) -> tuple[DeployOutcome, str]:
    """Wait until a Deployment has replaced its pods, or until the cluster reports that it does not get further.

    Kubernetes does not go back to what ran before. The old pods keep serving, because none of them ends before a new
    one is ready; so the outcome is ``failed``, and the site still works.

    Returns:
        The outcome, and why it failed.

    Raises:
        EngineError: The Deployment does not exist, or the cluster does not answer.
    """
    while True:
        found = cluster.read("Deployment", name)
        if found is None:
            raise EngineError(f"Deployment {name} was removed while it was being deployed")
        status = found.get("status") or {}
        if status.get("observedGeneration", 0) >= found["metadata"]["generation"]:
            if problem := _stuck(status):
                return DeployOutcome.FAILED, problem
            wanted = found["spec"].get("replicas", 1)
            keys = ("availableReplicas", "updatedReplicas", "replicas")
            ready, updated, total = (status.get(key) or 0 for key in keys)
            if ready >= wanted and updated >= wanted and total == updated:
                return DeployOutcome.DEPLOYED, ""
        sleep(_POLL_SECONDS)


def _stuck(status: dict[str, Any]) -> str:
    for condition in status.get("conditions") or ():
        if (condition.get("type"), condition.get("reason")) == ("Progressing", "ProgressDeadlineExceeded"):
            return str(condition.get("message") or "its pods did not become ready in time")
    return ""


def remove_old_secrets(cluster: Cluster, site: str, used: str) -> None:
    """Remove the secrets of earlier deployments of a site."""
    for name in cluster.names("Secret", f"{SITE}={site}"):
        if name != used:
            cluster.delete("Secret", name)
