"""`tierwright deployed` on an engine: containers that carry the labels of a site, and images of two releases."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

import made_images
import tiny_image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.kubernetes import render
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.labels import (
    CHOSEN_BY,
    CONFIG,
    SERVICE,
    SITE,
)
from cluster_server import cluster_server
from fake_cluster import FakeCluster
from small_site import CLUSTER, SECRETS
from small_site import SITE as SMALL_SITE

from .command import Answer, tierwright_fixture  # noqa: F401 - tests use the fixture
from .test_kubernetes import packages

pytestmark = pytest.mark.once

RELEASE = "release-20261124T093000Z"


def load(engine: docker.DockerClient, version: bytes, *names: str) -> str:
    """Load an image with a layer of its own, and return its ID."""
    layers = [tiny_image.lower_layer(), made_images.layer(("etc/version", version))]
    steps = [made_images.tier_step("base", "operations"), made_images.tier_step("web", "development")]
    document = json.loads(made_images.config(layers, steps, Cmd=["/bin/sleep", "600"], Env=["PATH=/bin"]))
    document["architecture"] = json.loads(tiny_image.document({}))["architecture"]
    content = json.dumps(document).encode()
    engine.images.load(tiny_image.archive(list(names), content, layers))
    return made_images.digest(content)


@pytest.fixture
def site(engine: docker.DockerClient) -> Iterator[dict[str, Any]]:
    """A site with an old image, of which one container runs, and one has ended."""
    name = f"twtest-{secrets.token_hex(4)}"
    old = load(engine, b"1", f"{name}:{RELEASE}")
    new = load(engine, b"2", f"{name}:latest")
    labels = {SITE: name, SERVICE: "web", CHOSEN_BY: f"{name}:latest", CONFIG: old}
    containers = []
    try:
        for command in (["/bin/sleep", "600"], ["/bin/sh", "-c", "exit 3"]):
            containers.append(
                engine.containers.create(f"{name}:{RELEASE}", command, network_mode="none", labels=labels)
            )
            containers[-1].start()
        containers[-1].wait()
        yield {"name": name, "old": old, "new": new}
    finally:
        for container in containers:
            container.remove(force=True)
        for tag in (RELEASE, "latest"):
            with suppress(docker.errors.ImageNotFound):
                engine.images.remove(f"{name}:{tag}", force=True)


def test_the_engine_says_what_runs_and_whose_layer_is_out_of_date(
    site: dict[str, Any], tierwright: Callable[..., Answer]
) -> None:
    answer = tierwright("deployed", site["name"], "--json").json
    (service,) = answer["services"]
    assert (service["config"], service["newest"]) == (site["old"], site["new"])
    assert (service["release"], service["current"], service["unknown"]) == (RELEASE, False, None)
    assert service["outdated"] == [{"tier": "web", "team": "development"}]
    assert (service["running"], service["wanted"], service["problem"]) == (1, 2, "exit status 3")


def test_fail_says_by_its_exit_status_that_somebody_must_act(
    site: dict[str, Any], tierwright: Callable[..., Answer]
) -> None:
    answer = tierwright("deployed", site["name"], "--fail")
    assert answer.code == 1
    assert "web (development)" in answer.output
    assert f"{site['name']}/web: 1 of 2 containers run: exit status 3" in answer.output


def test_a_name_that_stands_for_nothing_any_more_is_named(
    site: dict[str, Any], tierwright: Callable[..., Answer], engine: docker.DockerClient
) -> None:
    engine.images.remove(f"{site['name']}:latest")
    answer = tierwright("deployed", site["name"])
    assert f"the engine does not have {site['name']}:latest any more" in answer.output
    assert RELEASE in answer.output


def test_a_cluster_is_asked_for_its_deployments_and_pods_only(
    tierwright: Callable[..., Answer], tmp_path: Path
) -> None:
    cluster = FakeCluster()
    cluster.add_namespace("shop")
    for group in render(SMALL_SITE, CLUSTER, SECRETS):
        for manifest in group.objects:
            cluster.patch(manifest, "tierwright", force=True, dry_run=False)
    with cluster_server(cluster) as server:
        server.write_configuration(tmp_path / "configuration")
        variables = {"KUBECONFIG": str(tmp_path / "configuration"), "PYTHONPATH": str(packages())}
        answer = tierwright("deployed", "--context", "test", "--namespace", "shop", "--json", **variables).json
    assert [(each["service"], each["target"], each["wanted"]) for each in answer["services"]] == [
        ("db", "kubernetes", 1),
        ("web", "kubernetes", 2),
    ]
    paths = {path.partition("?")[0] for _method, path in server.requests}
    assert paths == {"/version", "/apis/apps/v1/namespaces/shop/deployments", "/api/v1/namespaces/shop/pods"}
