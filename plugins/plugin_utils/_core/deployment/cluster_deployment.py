# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Deploys a site to Kubernetes or OpenShift: checks first, then one service after the other, each after those it uses.

Kubernetes does not go back by itself: a roll-out that is stuck stays so, and the old pods keep serving. So the
deployment applies what it had applied before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from ..errors import EngineError
from .cluster import Cluster, title
from .cluster_changes import ObjectChange, compare, superfluous, with_images, with_replicas
from .deployment_record import DeploymentRecord, DeployOutcome, end_record, note, write_record
from .kubernetes import KubeObject, ManifestGroup
from .labels import SITE
from .managed_fields import applied_manifest
from .roll_out import RollOut, stuck_since
from .site import Site, SiteService

Say = Callable[[str], None]
_FAILED = {DeployOutcome.FAILED, DeployOutcome.ROLLED_BACK}


class ClusterDeployment(msgspec.Struct, frozen=True):
    """A deployment to a cluster, with everything that it needs."""

    cluster: Cluster
    site: Site
    namespace: str
    groups: Sequence[ManifestGroup]
    say: Say
    #: Whether OpenShift chooses the images of services that exist already.
    keeps_images: bool = False

    def check(self) -> list[ObjectChange]:
        """Check everything, and return what would change. Nothing is changed.

        Raises:
            ChainError: The namespace does not exist.
            EngineError: The cluster rejects an object, or a service of this name is not of this site.
        """
        groups = [self._with_what_others_choose(group) for group in self.groups]
        changes = compare(self.cluster, groups, self.namespace)
        for change in changes:
            owner = ((change.before or {}).get("metadata", {}).get("labels") or {}).get(SITE, "")
            if change.before is not None and change.manifest["kind"] != "Namespace" and owner != self.site.name:
                raise EngineError(
                    f"{title(change.manifest)} exists already in namespace {self.namespace}, and is not of this site; "
                    "remove it, or choose a different deploy_namespace"
                )
            if change.taken:
                self.say(f"{change.taken}: the deployment sets it back")
        return [*changes, *superfluous(self.cluster, groups, f"{SITE}={self.site.name}")]

    def _with_what_others_choose(self, group: ManifestGroup) -> ManifestGroup:
        objects = []
        for each in group.objects:
            if each["kind"] == "Deployment" and (self.keeps_images or "replicas" not in each["spec"]):
                live = self.cluster.read(each)
                kept = with_replicas(each, live)
                objects.append(with_images(kept, live) if self.keeps_images else kept)
            else:
                objects.append(each)
        return ManifestGroup(group.name, tuple(objects), is_secret=group.is_secret)

    def plan(self, changes: Sequence[ObjectChange]) -> dict[str, str]:
        """Return what a deployment would do with each service: ``new``, ``changed`` or ``unchanged``."""
        plan = {}
        for service in self.site.services:
            of_service = [change for change in changes if change.group == service.name]
            live = _deployment(of_service).before
            changed = any(change.is_change for change in of_service) or not self._is_running(service, live)
            plan[service.name] = "new" if live is None else "changed" if changed else "unchanged"
        return plan

    def run(self, record: DeploymentRecord, changes: Sequence[ObjectChange]) -> DeploymentRecord:
        """Deploy. The record is written at each step.

        Args:
            record: The record of this deployment.
            changes: The result of :meth:`check`.

        Returns:
            The record with all outcomes.

        Raises:
            EngineError: The cluster rejected an object, or does not answer.
        """
        record = write_record(record)
        services = {service.name: service for service in self.site.services}
        namespaces = [change for change in changes if change.manifest["kind"] == "Namespace" and change.is_change]
        if namespaces:  # before that, the cluster could not try the other objects
            self._apply(namespaces)
            changes = self.check()
        self._apply([change for change in changes if change.group not in services])
        for name, service in services.items():
            of_service = [change for change in changes if change.group == name]
            outcome, reason = self._deploy(service, of_service)
            before = running_image(_deployment(of_service).before)
            record = note(record, name, outcome, before=before, reason=reason)
            if outcome in _FAILED:
                break  # services that use this one were made for its new version
        else:
            for change in changes:
                if change.after is None:
                    self.cluster.delete(change.manifest)
            self._remove_old_secrets()
        return end_record(record)

    def _apply(self, changes: Sequence[ObjectChange]) -> None:
        for change in changes:
            if change.is_change and change.after is not None:
                self.cluster.apply(change.manifest, force=True)

    def _deploy(self, service: SiteService, changes: Sequence[ObjectChange]) -> tuple[DeployOutcome, str]:
        deployment = _deployment(changes)
        before, image = deployment.before, service.image.reference
        if not any(change.is_change for change in changes) and self._is_running(service, before):
            return DeployOutcome.UNCHANGED, ""
        was = running_image(before)
        self.say(f"starting {service.name}, {image}" if was is None else f"replacing {service.name}: {was} by {image}")
        self._apply(changes)
        # If the pods stay as they are, an earlier verdict is about them.
        problem = self._wait(service, deployment.manifest, before if deployment.is_change else None)
        if not problem:
            return DeployOutcome.DEPLOYED, ""
        if before is None or not deployment.is_change:
            return DeployOutcome.FAILED, problem
        return self._go_back(service, before, problem)

    def _go_back(self, service: SiteService, before: KubeObject, problem: str) -> tuple[DeployOutcome, str]:
        """Apply what a deployment had applied before. Its secrets and claims still exist."""
        former = applied_manifest(before)
        if former is None:
            return DeployOutcome.FAILED, f"{problem}; `kubectl rollout undo deployment {service.name}` goes back"
        self.say(f"{service.name} is rolled back: {problem}")
        stuck = self.cluster.read(former)
        self.cluster.apply(former, force=True)
        if again := self._wait(service, former, stuck):
            return DeployOutcome.FAILED, f"{problem}; and what ran before does not become healthy either: {again}"
        return DeployOutcome.ROLLED_BACK, problem

    def _wait(self, service: SiteService, manifest: KubeObject, before: KubeObject | None) -> str:
        roll_out = RollOut(self.cluster, self.site, service, manifest, stuck_since(before))
        return roll_out.wait()

    def _is_running(self, service: SiteService, live: KubeObject | None) -> bool:
        return live is not None and RollOut(self.cluster, self.site, service, live, "").is_complete(live)

    def _remove_old_secrets(self) -> None:
        """Remove the secrets of earlier deployments. Labels show that we made them."""
        used = {each["metadata"]["name"] for group in self.groups if group.is_secret for each in group.objects}
        if not used:
            return
        for secret in self.cluster.select("Secret", f"{SITE}={self.site.name}"):
            if secret["metadata"]["name"] not in used:
                self.cluster.delete(secret)


def _deployment(changes: Sequence[ObjectChange]) -> ObjectChange:
    return next(change for change in changes if change.manifest["kind"] == "Deployment")


def running_image(deployment: Mapping[str, object] | None) -> str | None:
    """Return the image of a Deployment's server; ``None`` if there is no Deployment."""
    if deployment is None:
        return None
    spec: KubeObject = deployment["spec"]  # type: ignore[assignment]
    return str(spec["template"]["spec"]["containers"][0]["image"])
