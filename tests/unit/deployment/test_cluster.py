"""Manifests are applied to a cluster that exists only in memory."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment import kubernetes
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.cluster import (
    apply_groups,
    remove_old_secrets,
    wait_for,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployment_record import DeployOutcome
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from small_site import CLUSTER, SECRETS, SITE

pytestmark = pytest.mark.once


class FakeCluster:
    def __init__(self, answers=(), *, rejected=()):
        self.applied, self.checked, self.deleted = [], [], []
        self.answers, self.rejected = list(answers), set(rejected)

    def apply(self, manifest, *, dry_run=False):
        title = (manifest["kind"], manifest["metadata"]["name"])
        if title in self.rejected:
            raise EngineError(f"{title} is rejected")
        (self.checked if dry_run else self.applied).append(title)

    def read(self, _kind, _name):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def names(self, _kind, _label):
        return ["old", "used"]

    def delete(self, _kind, name):
        self.deleted.append(name)


def deployment(observed=2, *, ready=2, updated=2, total=2, conditions=()):
    status = {
        "observedGeneration": observed, "availableReplicas": ready, "updatedReplicas": updated, "replicas": total,
        "conditions": list(conditions),
    }  # fmt: skip
    return {"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status}


def test_everything_is_checked_before_anything_is_applied():
    cluster = FakeCluster()
    groups = kubernetes.render(SITE, CLUSTER, SECRETS)
    apply_groups(cluster, groups)
    assert cluster.applied == cluster.checked
    refused = FakeCluster(rejected=[("Service", "web")])
    with pytest.raises(EngineError):
        apply_groups(refused, groups)
    assert refused.applied == []


def test_a_roll_out_ends_when_only_new_pods_are_left():
    stages = [deployment(1), deployment(ready=1), deployment(updated=1), deployment(total=3), deployment()]
    cluster, waits = FakeCluster(stages), []
    assert wait_for(cluster, "web", sleep=waits.append) == (DeployOutcome.DEPLOYED, "")
    assert len(waits) == len(stages) - 1


def test_a_roll_out_that_is_stuck_fails_with_the_message_of_the_cluster():
    stuck = {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "ReplicaSet has timed out"}
    cluster = FakeCluster([deployment(ready=1, conditions=[stuck])])
    assert wait_for(cluster, "web") == (DeployOutcome.FAILED, "ReplicaSet has timed out")


def test_secrets_of_earlier_deployments_are_removed():
    cluster = FakeCluster()
    remove_old_secrets(cluster, "shop", "used")
    assert cluster.deleted == ["old"]
