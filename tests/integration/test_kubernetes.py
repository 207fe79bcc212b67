"""Manifests obey the published schemas, and a site is deployed over HTTP with the real client of Kubernetes."""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.cluster import (
    Cluster,
    ClusterUnreachableError,
    FieldConflictError,
    connect_cluster,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.kubernetes import (
    ClusterSettings,
    render,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from cluster_server import TOKEN, ClusterServer, cluster_server
from demo_site import GIVEN, SECRETS, demo_site
from fake_cluster import FakeCluster, RefusedError
from fake_registry import FakeRegistry, fake_registry
from published_images import publish, tier_layer

from .conftest import ROOT, Playbook

pytestmark = pytest.mark.once

#: The client and the schemas, which only these tests need (`make environments`).
PACKAGES = list(ROOT.glob(".nox/kubernetes/lib/python3*/site-packages"))
VERSIONS = [f"1.{number}" for number in range(27, 38)]
OPENSHIFT = json.loads((ROOT / "tests/openshift_schemas.json").read_text())["schemas"]

FULL = ClusterSettings("shop", create_namespace=True, host="shop.example.org", ingress_class="nginx", tls_secret="tls")
OPEN = ClusterSettings("shop", openshift=True, host="shop.example.org", image_triggers=True)
BUSY = demo_site(most_replicas=5)


def packages() -> Path:
    assert PACKAGES, "run `make environments`: it installs the client and the schemas of Kubernetes"
    return PACKAGES[0]


def manifests(settings: ClusterSettings) -> list[dict[str, Any]]:
    return [each for group in render(BUSY, settings, SECRETS) for each in group.objects]


@functools.cache
def validator(version: str, kind: str, api_version: str) -> jsonschema.Validator:
    folder = packages() / f"kubernetes_validate/kubernetes-json-schema/v{version}.0-local-strict"
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    schema = json.loads((folder / f"{kind.lower()}-{group}.json").read_text())
    definitions = referencing.Resource.from_contents(json.loads((folder / "_definitions.json").read_text()))
    registry = referencing.Registry().with_resource(definitions.id() or "", definitions)
    return jsonschema.Draft202012Validator(schema, registry=registry)


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_obey_the_published_schemas(version):
    """The strict schemas reject unknown fields, too."""
    known = [each for each in manifests(FULL) + manifests(OPEN) if "openshift" not in each["apiVersion"]]
    assert len({each["kind"] for each in known}) == 9
    for manifest in known:
        validator(version, manifest["kind"], manifest["apiVersion"]).validate(manifest)


def test_the_schemas_find_mistakes():
    service = next(each for each in manifests(FULL) if each["kind"] == "Service")
    wrong = {**service, "spec": {**service["spec"], "selektor": {}}}
    with pytest.raises(jsonschema.ValidationError):
        validator("1.34", "Service", "v1").validate(wrong)


@pytest.mark.parametrize("schema", sorted(OPENSHIFT))
def test_objects_of_openshift_obey_its_schemas(schema):
    found = [each for each in manifests(OPEN) if each["kind"] == schema.split()[0]]
    assert found
    for manifest in found:
        jsonschema.Draft202012Validator(OPENSHIFT[schema]).validate(manifest)


@pytest.fixture
def store() -> FakeCluster:
    cluster = FakeCluster()
    cluster.add_namespace("shop")
    return cluster


@pytest.fixture
def server(store, monkeypatch, tmp_path) -> Iterator[ClusterServer]:
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages())])
    with cluster_server(store) as running:
        running.write_configuration(tmp_path / "configuration")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "configuration"))
        yield running


@pytest.fixture
def cluster(server) -> Cluster:
    assert server.requests == []
    return connect_cluster("shop", None)


def manifest_of(kind: str, name: str) -> dict[str, Any]:
    return next(each for each in manifests(FULL) if (each["kind"], each["metadata"]["name"]) == (kind, name))


def test_an_object_is_tried_applied_read_and_removed(server, cluster, store):
    database = manifest_of("Deployment", "mariadb")
    assert cluster.read(database) is None
    tried = cluster.apply(database, dry_run=True)
    assert tried["spec"]["strategy"] == {"type": "Recreate"}
    assert store.changes == []
    cluster.apply(database)
    found = cluster.read(database)
    assert found is not None
    assert found["metadata"]["managedFields"][0]["manager"] == "tierwright"
    version = found["metadata"]["resourceVersion"]
    assert cluster.apply(database)["metadata"]["resourceVersion"] == version
    cluster.delete(found)
    cluster.delete(found)
    assert store.changes == ["apply Deployment mariadb", "delete Deployment mariadb"]
    patches = [path for method, path in server.requests if method == "PATCH"]
    place = "/apis/apps/v1/namespaces/shop/deployments/mariadb?"
    assert all(path.startswith(place) and "fieldManager=tierwright" in path for path in patches)
    assert ["dryRun=All" in path for path in patches] == [True, False, False]


def test_fields_of_others_are_a_conflict_unless_they_are_taken(cluster, store):
    database = manifest_of("Deployment", "mariadb")
    cluster.apply(database)
    store.edit("Deployment", "mariadb", ("f:spec", "f:revisionHistoryLimit"), 1, "kubectl-edit")
    with pytest.raises(FieldConflictError, match=r'\.spec\.revisionHistoryLimit \(conflict with "kubectl-edit"'):
        cluster.apply(database)
    assert cluster.apply(database, force=True)["spec"]["revisionHistoryLimit"] == 5


def test_objects_are_selected_by_label(cluster):
    for group in render(BUSY, FULL, SECRETS):
        for manifest in group.objects if group.is_secret else ():
            cluster.apply(manifest)
    (found,) = cluster.select("Secret", "io.tierwright.site=shop")
    cluster.delete(found)
    assert cluster.select("Secret", "io.tierwright.site=shop") == []


def test_messages_of_the_cluster_are_shown_without_secrets(cluster, store):
    secret = next(each for each in manifests(FULL) if each["kind"] == "Secret")
    store.refused["Secret", secret["metadata"]["name"]] = RefusedError(422, "Invalid", f"data: {GIVEN['phrase']}")
    with pytest.raises(EngineError, match=r"Secret shop-secrets-\w+: the cluster refused it \(422 Invalid\)$"):
        cluster.apply(secret)
    store.refused["Service", "mariadb"] = RefusedError(403, "Forbidden", "services is forbidden: you may not")
    with pytest.raises(
        EngineError, match=r"Service mariadb: .* \(403 Forbidden\): services is forbidden: you may not$"
    ):
        cluster.apply(manifest_of("Service", "mariadb"))


def test_a_cluster_that_is_starting_is_asked_again(cluster, store):
    store.refused["Service", "mariadb"] = RefusedError(503, "ServiceUnavailable", "apiserver is shutting down")
    with pytest.raises(ClusterUnreachableError, match="apiserver is shutting down"):
        cluster.read(manifest_of("Service", "mariadb"))


def test_a_wrong_configuration_is_one_sentence(server, tmp_path):
    with pytest.raises(EngineError, match=r"no cluster is configured: .*; set KUBECONFIG.*deploy_context \(now 'x'\)"):
        connect_cluster("shop", "x")
    path = tmp_path / "configuration"
    path.write_text(path.read_text().replace(TOKEN, "a wrong token"))
    with pytest.raises(EngineError, match=r"the cluster http://127.*: the cluster refused it \(401 Unauthorized\)"):
        connect_cluster("shop", None)
    path.write_text(path.read_text().replace(str(server.server_port), "1"))
    with pytest.raises(ClusterUnreachableError, match=r"the cluster http://127.0.0.1:1: .*: .*Connection refused"):
        connect_cluster("shop", None)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        for service in ("mariadb", "wordpress", "haproxy"):
            publish(running, f"team/{service}", "latest", [tier_layer(1)], owners=["base", service])
        yield running


@pytest.mark.usefixtures("server")
def test_the_playbook_compares_deploys_and_rolls_back(store, registry, playbook: Playbook, tmp_path):
    images = {service: f"{registry.host}/team/{service}:latest" for service in ("mariadb", "wordpress", "haproxy")}
    variables = tmp_path / "site.yml"
    settings = {
        "deploy_name": "shop", "deploy_target": "kubernetes", "deploy_images": images, "deploy_secrets": GIVEN,
        "deploy_registries": {registry.host: {"insecure": True}},
    }  # fmt: skip
    variables.write_text(yaml.safe_dump(settings))
    environment = {"KUBECONFIG": os.environ["KUBECONFIG"]}
    environment |= {"PYTHONPATH": str(packages()), "XDG_STATE_HOME": str(tmp_path / "state")}
    command = ("playbooks/deploy.yml", "-e", f"@{variables}")

    checked = playbook(*command, "--check", "--diff", env=environment).expect()
    assert store.changes == []
    assert "+kind: PersistentVolumeClaim" in checked.output
    playbook(*command, env=environment).expect()
    again = playbook(*command, "--diff", env=environment).expect()
    assert "changed=0" in again.output

    publish(registry, "team/wordpress", "latest", [tier_layer(2)], owners=["base", "wordpress"])
    newer = f"{registry.host}/team/wordpress@{registry.tags['team/wordpress', 'latest']}"
    store.broken.add(newer)
    before = store.deployment("wordpress")["spec"]
    failed = playbook(*command, env=environment).expect(2)
    assert "container wordpress of pod wordpress-1 ended with status 3" in failed.message
    assert "runs again" in failed.message
    assert store.deployment("wordpress")["spec"] == before
    record = json.loads(max((tmp_path / "state/tierwright/sites/shop").glob("deploy-*.json")).read_text())
    assert [each["outcome"] for each in record["services"]] == ["unchanged", "rolled back", "waiting"]

    outputs = [checked.output, again.output, failed.output, json.dumps(record)]
    assert not [value for value in [TOKEN, *SECRETS.values.values()] if value in str(outputs)]
