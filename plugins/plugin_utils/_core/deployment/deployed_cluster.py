# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads from a cluster which services of sites it runs: Deployments and their pods.

If a roll-out is stuck, the old pods keep serving. So the image that runs is that of the oldest pod that is ready, and
not that of the Deployment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from ..errors import EngineError, wrap_errors
from .deployed_service import STUCK, UPDATING, DeployedService
from .kubernetes import KubeObject
from .labels import CHOSEN_BY, CONFIG, SERVICE, SITE
from .roll_out import is_observed, pod_problems, stuck_message, stuck_since


class SelectsObjects(Protocol):
    """What is asked of a cluster; see :class:`.cluster.Cluster`."""

    def select(self, kind: str, label: str) -> list[KubeObject]:
        """Return the objects of a kind that carry a label."""


def services_of_cluster(cluster: SelectsObjects, site: str | None) -> list[DeployedService]:
    """List what one namespace of a cluster runs for a site, or for all sites. Nothing is compared yet.

    Raises:
        EngineError: The cluster does not answer, refused, or its answer cannot be understood.
    """
    label = SITE if site is None else f"{SITE}={site}"
    deployments, pods = cluster.select("Deployment", label), cluster.select("Pod", label)
    with wrap_errors("the cluster's answer cannot be understood", EngineError):
        return list(_services(deployments, pods))


def _services(deployments: list[KubeObject], pods: list[KubeObject]) -> Iterator[DeployedService]:
    for deployment in deployments:
        metadata = deployment["metadata"]
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
        site, service = str(labels.get(SITE) or ""), str(labels.get(SERVICE) or metadata["name"])
        own = [pod for pod in pods if _is_of(pod, site, service)]
        ready = sorted((pod for pod in own if _is_ready(pod)), key=_started)
        wanted, intended = int(deployment["spec"].get("replicas", 1)), _image(deployment["spec"]["template"])
        image = _image(ready[0]) if ready else intended
        state = _state(deployment, is_mixed=any(_image(pod) != intended for pod in own))
        has_problem = state == STUCK or len(ready) < wanted
        yield DeployedService(
            site=site,
            service=service,
            target="kubernetes",
            image=image,
            chosen_by=_text(annotations, CHOSEN_BY),
            # The annotation is about what the Deployment wants.
            config=_text(annotations, CONFIG) if image == intended else None,
            deployment=None,
            since=_started(ready[0]) or None if ready else None,
            running=min(len(ready), wanted),
            wanted=wanted,
            state=state,
            problem=_problem(deployment, own) if has_problem else None,
        )


def _is_of(pod: KubeObject, site: str, service: str) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return (labels.get(SITE), labels.get(SERVICE)) == (site, service)


def _is_ready(pod: KubeObject) -> bool:
    is_leaving = bool(pod["metadata"].get("deletionTimestamp"))
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = (each for each in conditions if (each.get("type"), each.get("status")) == ("Ready", "True"))
    return not is_leaving and next(ready, None) is not None


def _started(pod: KubeObject) -> str:
    return str((pod.get("status") or {}).get("startTime") or "")


def _created(pod: KubeObject) -> str:
    return str(pod["metadata"].get("creationTimestamp") or "")


def _image(pod: Mapping[str, Any]) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def _state(deployment: KubeObject, *, is_mixed: bool) -> str | None:
    if stuck_since(deployment):
        return STUCK
    return UPDATING if is_mixed or not is_observed(deployment) else None


def _problem(deployment: KubeObject, pods: list[KubeObject]) -> str | None:
    """Return why the newest pod that is not ready waits, otherwise what the cluster says about the Deployment."""
    waiting = sorted((pod for pod in pods if not _is_ready(pod)), key=_created, reverse=True)
    if found := next((problem for pod in waiting for problem in pod_problems(pod)), ""):
        return found
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("message"):  # a quota or a policy forbids pods
            return str(condition["message"])
    if stuck_since(deployment):
        return stuck_message(deployment)
    return None if waiting else "the cluster has not made the others"


def _text(values: Mapping[str, Any], key: str) -> str | None:
    return str(values[key]) if values.get(key) else None
