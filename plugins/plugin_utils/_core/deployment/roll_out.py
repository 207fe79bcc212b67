# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waits until a cluster has replaced all pods of a service, or until it does not get further, and says why."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec

from ..errors import EngineError
from .cluster import Cluster, ClusterUnreachableError
from .kubernetes import KubeObject
from .labels import selector
from .site import Site, SiteService

_POLL_SECONDS = 1.0
#: How long a cluster may be unreachable while a deployment waits for it. Its API may be replaced just then.
_UNREACHABLE_SECONDS = 60
#: What a cluster may take besides the progress of its pods: to notice a change, and to end old pods.
_SPARE_SECONDS = 60
_LONGEST_REASON = 500


class RollOut(msgspec.Struct, frozen=True):
    """The roll-out of one service."""

    cluster: Cluster
    site: Site
    service: SiteService
    #: The Deployment that was applied.
    manifest: KubeObject
    #: Since when the Deployment had already been stuck before it was applied; empty if it was not.
    stuck_before: str

    def wait(self) -> str:
        """Wait.

        Returns:
            Why the roll-out failed; empty if it worked.

        Raises:
            EngineError: The Deployment was removed, or the cluster does not answer any more.
        """
        limit = self._longest_seconds()
        deadline, answered = time.monotonic() + limit, time.monotonic()
        while time.monotonic() < deadline:
            try:
                found = self.cluster.read(self.manifest)
                answered = time.monotonic()
            except ClusterUnreachableError:
                if time.monotonic() - answered > _UNREACHABLE_SECONDS:
                    raise
                found = {}
            if found is None:
                raise EngineError(f"Deployment {self.service.name} was removed while it was being deployed")
            if found and is_observed(found):
                if self.is_complete(found):
                    return ""
                if (since := stuck_since(found)) and since != self.stuck_before:
                    return self._reason() or stuck_message(found)
            time.sleep(_POLL_SECONDS)
        return self._reason() or f"the cluster has not replaced its pods in {limit} s"

    def is_complete(self, found: KubeObject) -> bool:
        """Say whether all pods are new, and ready."""
        status, wanted = found.get("status") or {}, found["spec"].get("replicas", 1)
        keys = ("availableReplicas", "updatedReplicas", "replicas")
        ready, updated, total = (status.get(key) or 0 for key in keys)
        return is_observed(found) and bool(ready >= wanted and updated >= wanted and total == updated)

    def _longest_seconds(self) -> int:
        """Return an end in any case. Each new pod that becomes ready gives the others the whole time again."""
        spec = self.manifest["spec"]
        each = int(spec["progressDeadlineSeconds"]) + int(spec["template"]["spec"]["terminationGracePeriodSeconds"])
        return each * (int(spec.get("replicas") or self.service.most_replicas or 1) + 1) + _SPARE_SECONDS

    def _reason(self) -> str:
        """Return what the cluster says about the first pod that is not ready; empty if it says nothing."""
        label = ",".join(f"{key}={value}" for key, value in sorted(selector(self.site, self.service).items()))
        try:
            pods = self.cluster.select("Pod", label)
        except EngineError:  # perhaps we may not see pods; that is no reason to end differently
            return ""
        newest_first = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)
        return next((problem for pod in newest_first for problem in pod_problems(pod)), "")[:_LONGEST_REASON]


def stuck_since(deployment: KubeObject | None) -> str:
    """Return since when a cluster has given up a Deployment; empty if it has not."""
    return str(_progress(deployment or {}).get("lastUpdateTime") or "")


def stuck_message(deployment: KubeObject) -> str:
    """Return what a cluster says about a Deployment that it has given up."""
    return str(_progress(deployment).get("message") or "its pods did not become ready in time")


def _progress(deployment: KubeObject) -> KubeObject:
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if (condition.get("type"), condition.get("reason")) == ("Progressing", "ProgressDeadlineExceeded"):
            found: KubeObject = condition
            return found
    return {}


def is_observed(deployment: KubeObject) -> bool:
    """Say whether the status is about the present specification."""
    observed = (deployment.get("status") or {}).get("observedGeneration", 0)
    return bool(observed >= deployment["metadata"]["generation"])


def pod_problems(pod: KubeObject) -> Iterator[str]:
    """Yield why a pod is not ready, the most telling first."""
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for container in containers:
        ended = _ended(container)
        waiting = (container.get("state") or {}).get("waiting") or {}
        if ended and not container.get("ready"):
            yield f"container {container['name']} of pod {name} {ended}"
        elif waiting.get("message"):
            yield f"container {container['name']} of pod {name}: {waiting.get('reason')}: {waiting['message']}"
    for condition in status.get("conditions") or ():
        if (condition.get("type"), condition.get("status")) == ("PodScheduled", "False"):
            yield f"pod {name} has no machine: {condition.get('message')}"
    for container in containers:
        if not container.get("ready") and (container.get("state") or {}).get("running"):
            yield f"container {container['name']} of pod {name} runs, but is not healthy; see `kubectl logs {name}`"


def _ended(container: dict[str, Any]) -> str:
    """Say how a container ended last, if it failed."""
    for state in (container.get("state") or {}, container.get("lastState") or {}):
        ended = state.get("terminated") or {}
        if ended.get("exitCode"):
            return f"ended with status {ended['exitCode']} ({ended.get('reason') or 'no reason'})"
    return ""
