# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares manifests with a cluster. The cluster itself says what each object would become, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from ..errors import ChainError, EngineError
from .cluster import Cluster, ClusterUnreachableError, FieldConflictError, title
from .kubernetes import KubeObject, ManifestGroup
from .rendered_files import as_yaml

#: What a cluster counts, or writes itself.
_NOT_CONTENT = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
_HIDDEN = "(hidden)"
#: Kinds whose objects a setting adds, so that they are too many without it. Claims are never removed.
_OPTIONAL = ("HorizontalPodAutoscaler", "ImageStream", "Ingress", "PodDisruptionBudget", "Route")


class ObjectChange(msgspec.Struct, frozen=True):
    """What applying a manifest would do."""

    #: The name of its group.
    group: str
    manifest: KubeObject
    #: The object now; ``None`` if it is new.
    before: KubeObject | None
    #: What it would become, or the manifest itself if the cluster cannot try it yet; ``None`` if it is removed.
    after: KubeObject | None
    #: Fields that somebody else has set to a different value, and by whom; empty if there are none.
    taken: str = ""

    @property
    def is_change(self) -> bool:
        """Whether anything would change."""
        return self.before is None or self.after is None or _content(self.before) != _content(self.after)

    @property
    def difference(self) -> dict[str, str]:
        """The difference for ``--diff``. It shows no secret."""
        name, after = title(self.manifest), self.manifest if self.before is None else self.after
        before, after_text = (
            "" if each is None else as_yaml([_content(each, hide=True)]) for each in (self.before, after)
        )
        return {"before_header": name, "after_header": name, "before": before, "after": after_text}


def compare(cluster: Cluster, groups: Sequence[ManifestGroup], namespace: str) -> list[ObjectChange]:
    """Try all manifests on the cluster, without changing anything.

    If the namespace is one of them and does not exist yet, the cluster can try nothing in it. Then everything is new.

    Args:
        cluster: The cluster.
        groups: The manifests.
        namespace: The namespace of the site.

    Raises:
        ChainError: The namespace does not exist, and is not one of the manifests.
        EngineError: The cluster rejects an object, or does not answer.
    """
    makes_namespace = any(each["kind"] == "Namespace" for group in groups for each in group.objects)
    exists = _namespace_exists(cluster, namespace)
    if not exists and not makes_namespace:
        raise ChainError(
            f"namespace {namespace!r} does not exist in the cluster; make it, or set deploy_create_namespace to true"
        )
    return [
        _try(cluster, group.name, manifest)
        if exists or manifest["kind"] == "Namespace"
        else ObjectChange(group.name, manifest, None, manifest)
        for group in groups
        for manifest in group.objects
    ]


def _namespace_exists(cluster: Cluster, namespace: str) -> bool:
    try:
        return cluster.read({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}) is not None
    except ClusterUnreachableError:
        raise
    except EngineError:  # whoever may only use one namespace may not read it
        return True


def _try(cluster: Cluster, group: str, manifest: KubeObject) -> ObjectChange:
    before, taken = cluster.read(manifest), ""
    try:
        after = cluster.apply(manifest, dry_run=True)
    except FieldConflictError as error:
        after, taken = cluster.apply(manifest, dry_run=True, force=True), str(error)
    return ObjectChange(group, manifest, before, after, taken)


def superfluous(cluster: Cluster, groups: Sequence[ManifestGroup], label: str) -> Iterator[ObjectChange]:
    """Yield the objects of a site that its manifests do not have any more.

    Args:
        cluster: The cluster.
        groups: The manifests.
        label: The label of the site.

    Raises:
        ClusterUnreachableError: The cluster does not answer.
    """
    wanted = {title(each) for group in groups for each in group.objects}
    for kind in _OPTIONAL:
        try:
            found = cluster.select(kind, label)
        except ClusterUnreachableError:
            raise
        except EngineError:  # whoever may not see a kind has not applied an object of it
            continue
        yield from (ObjectChange("", each, each, None) for each in found if title(each) not in wanted)


def with_replicas(manifest: KubeObject, live: KubeObject | None) -> KubeObject:
    """Return a Deployment with the number of replicas that an autoscaler has chosen, if it leaves the number open.

    Without it, the cluster would set the number to 1 as soon as a manifest does not have it any more.
    """
    if live is None or "replicas" in manifest["spec"]:
        return manifest
    return {**manifest, "spec": {**manifest["spec"], "replicas": live["spec"].get("replicas", 1)}}


def with_images(manifest: KubeObject, live: KubeObject | None) -> KubeObject:
    """Return a Deployment with the images that its containers have in the cluster, where something else chooses them.

    Args:
        manifest: The Deployment.
        live: The Deployment in the cluster; ``None`` if there is none yet.
    """
    if live is None:
        return manifest
    images = {each["name"]: each["image"] for each in _containers(live)}
    pod = manifest["spec"]["template"]["spec"]
    kept = {
        kind: [{**each, "image": images.get(each["name"], each["image"])} for each in pod[kind]]
        for kind in ("containers", "initContainers")
        if kind in pod
    }
    template = {**manifest["spec"]["template"], "spec": {**pod, **kept}}
    return {**manifest, "spec": {**manifest["spec"], "template": template}}


def _containers(deployment: KubeObject) -> Iterator[KubeObject]:
    pod = deployment["spec"]["template"]["spec"]
    yield from pod["containers"]
    yield from pod.get("initContainers") or ()


def _content(found: KubeObject, *, hide: bool = False) -> KubeObject:
    """Return what an object is, without what its cluster counts and observes."""
    metadata = {key: value for key, value in found["metadata"].items() if key not in _NOT_CONTENT}
    content = {**{key: value for key, value in found.items() if key != "status"}, "metadata": metadata}
    if hide and found["kind"] == "Secret":
        return {
            **content,
            **{key: dict.fromkeys(content[key], _HIDDEN) for key in ("data", "stringData") if key in content},
        }
    return content
