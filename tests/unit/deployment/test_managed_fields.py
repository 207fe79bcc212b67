"""What was applied last is found out from an object in a cluster."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment import kubernetes
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.managed_fields import applied_manifest
from fake_cluster import FakeCluster, InMemory
from small_site import CLUSTER, SECRETS, SITE

pytestmark = pytest.mark.once

MANIFESTS = [each for group in kubernetes.render(SITE, CLUSTER, SECRETS) for each in group.objects]


@pytest.fixture
def store():
    cluster = FakeCluster()
    cluster.add_namespace("shop")
    return cluster


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda each: f"{each['kind']} {each['metadata']['name']}")
def test_it_is_the_manifest_without_what_the_cluster_adds(store, manifest):
    live = InMemory(store).apply(copy.deepcopy(manifest))
    assert live != manifest
    assert applied_manifest(live) == manifest


def test_fields_of_others_are_not_in_it(store):
    manifest = next(each for each in MANIFESTS if each["kind"] == "Deployment")
    InMemory(store).apply(manifest)
    store.edit("Deployment", "db", ("f:spec", "f:replicas"), 7, "autoscaler")
    found = applied_manifest(store.deployment("db"))
    assert "replicas" not in found["spec"]
    assert found["spec"]["template"] == manifest["spec"]["template"]


def test_an_object_that_somebody_else_applied_has_none(store):
    store.patch(MANIFESTS[0], "kubectl", force=False, dry_run=False)
    assert applied_manifest(store.objects["Secret", MANIFESTS[0]["metadata"]["name"]]) is None
    assert applied_manifest({"metadata": {}}) is None


def test_a_set_of_values_is_taken_by_value():
    entry = {"manager": "tierwright", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:finalizers": {'v:"a"': {}}}}}
    live = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "finalizers": ["a", "b"], "managedFields": [entry]},
    }
    assert applied_manifest(live)["metadata"] == {"name": "x", "finalizers": ["a"]}
