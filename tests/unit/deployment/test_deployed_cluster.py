"""What a cluster runs is compared with what its name stands for now."""

from __future__ import annotations

import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployed import (
    deployed_on_cluster,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.labels import CHOSEN_BY, CONFIG
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from web_releases import IDS, NEXT_RELEASE, RELEASE

pytestmark = pytest.mark.once


class OneCluster:
    """A cluster with one Deployment."""

    def __init__(self, registry, *, ready=RELEASE, wanted="latest", stuck=False):
        repository = f"{registry.host}/team/web"
        labels = {"io.tierwright.site": "shop", "io.tierwright.service": "web"}
        images = {tag: f"{repository}@{registry.tags['team/web', tag]}" for tag in (RELEASE, "latest")}
        condition = {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "timed out",
                     "lastUpdateTime": "2026-11-29T20:00:00Z"}  # fmt: skip
        self.objects = {
            "Deployment": [
                {
                    "metadata": {"name": "web", "labels": labels, "generation": 2,
                                 "annotations": {CHOSEN_BY: f"{repository}:latest", CONFIG: IDS["a"]}},
                    "spec": {"replicas": 2, "template": {"spec": {"containers": [{"image": images[wanted]}]}}},
                    "status": {"observedGeneration": 2, "conditions": [condition] if stuck else []},
                }
            ],
            "Pod": [pod(f"web-{number}", labels, images[ready]) for number in (1, 2)],
        }  # fmt: skip
        if stuck:
            self.objects["Pod"].append(pod("web-3", labels, images[wanted], ready=False))

    def select(self, kind, label):
        assert label == "io.tierwright.site=shop"
        return self.objects[kind]


def pod(name, labels, image, *, ready=True):
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not there"}}
    container = {"name": "web", "ready": ready, "state": {} if ready else waiting}
    return {
        "metadata": {"name": name, "labels": labels, "creationTimestamp": "2026-11-29T20:00:00Z"},
        "spec": {"containers": [{"image": image}]},
        "status": {
            "startTime": "2026-11-29T20:00:00Z",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [container],
        },
    }


def test_a_cluster_gives_the_same_answer(registry):
    (service,) = deployed_on_cluster(OneCluster(registry, ready="latest"), "shop", Registries().reader).services
    assert (service.target, service.running, service.wanted) == ("kubernetes", 2, 2)
    assert (service.state, service.problem, service.since) == (None, None, "2026-11-29T20:00:00Z")
    assert (service.release, service.current) == (NEXT_RELEASE, True)


def test_what_runs_in_a_cluster_is_what_its_ready_pods_run(registry):
    (service,) = deployed_on_cluster(OneCluster(registry, stuck=True), "shop", Registries().reader).services
    assert service.image.endswith(registry.tags["team/web", RELEASE])
    assert (service.state, service.running, service.release) == ("stuck", 2, RELEASE)
    assert service.problem == "container web of pod web-3: ImagePullBackOff: not there"
    assert [layer.tier for layer in service.outdated] == ["corebuild"]


def test_a_cluster_with_a_strange_answer_is_an_error(registry):
    cluster = OneCluster(registry)
    cluster.objects["Deployment"][0]["spec"] = json.loads("[]")
    with pytest.raises(EngineError, match="the cluster's answer cannot be understood"):
        deployed_on_cluster(cluster, "shop", Registries().reader)


@pytest.mark.parametrize(
    ("conditions", "problem"),
    [
        ([{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}], "exceeded quota"),
        ([], "the cluster has not made the others"),
    ],
)
def test_pods_that_a_cluster_does_not_make_have_a_reason(registry, conditions, problem):
    cluster = OneCluster(registry)
    cluster.objects["Pod"] = []
    cluster.objects["Deployment"][0]["status"]["conditions"] = conditions
    (service,) = deployed_on_cluster(cluster, "shop", Registries().reader).services
    assert (service.running, service.wanted, service.problem) == (0, 2, problem)
