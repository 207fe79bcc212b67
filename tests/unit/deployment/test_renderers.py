"""A small site is rendered for each target, exactly as the files in ``golden`` say."""

from __future__ import annotations

import base64
import dataclasses
import json
import subprocess

import msgspec
import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment import kubernetes, quadlet, swarm
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.labels import SPEC
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.rendered_files import manifest_files
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.site import Site
from demo_site import SECRETS as DEMO_SECRETS
from demo_site import demo_site
from pod_security import violations
from small_site import CLUSTER, DATABASE, GOLDEN, PASSWORD, SECRETS, SERVER, SITE, rendered

#: It tests the library only.
pytestmark = pytest.mark.once

IDS = {"password": ("ID", "shop_password_x")}


def render(**changes) -> list[dict]:
    groups = kubernetes.render(SITE, msgspec.structs.replace(CLUSTER, **changes), SECRETS)
    return [each for group in groups for each in group.objects]


def pods(manifests) -> list[dict]:
    return [each["spec"]["template"]["spec"] for each in manifests if each["kind"] == "Deployment"]


@pytest.mark.parametrize("name", sorted(rendered()))
def test_rendered_files_are_the_golden_ones(name):
    """If a change is wanted, `python tests/small_site.py` writes the files."""
    assert rendered()[name] == (GOLDEN / name).read_text()


def test_all_manifests_can_be_read_as_yaml():
    for file in manifest_files(kubernetes.render(SITE, CLUSTER, SECRETS)):
        assert all(each["kind"] for each in yaml.safe_load_all(file.content)), file.name


def test_kubernetes_applies_a_service_after_those_that_it_uses():
    assert [group.name for group in kubernetes.render(SITE, CLUSTER, SECRETS)] == ["secrets", "network", "db", "web"]


@pytest.mark.parametrize("openshift", [False, True])
def test_every_pod_keeps_the_rules_of_the_standard_restricted(openshift):
    cluster = msgspec.structs.replace(CLUSTER, openshift=openshift, image_triggers=openshift)
    demo = [each for group in kubernetes.render(demo_site(), cluster, DEMO_SECRETS) for each in group.objects]
    found = pods([*demo, *render(openshift=openshift)])
    assert len(found) == 5
    for pod in found:
        assert list(violations(pod)) == []
        assert not pod["automountServiceAccountToken"]
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert set(container["resources"]["limits"]) == {"cpu", "memory"}


@pytest.mark.parametrize(
    "change",
    [
        {"hostNetwork": True},
        {"securityContext": {"runAsNonRoot": True}},
        {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]},
        {"containers": [{"name": "x", "securityContext": {"capabilities": {"drop": ["ALL"]}}}]},
    ],
)
def test_the_rules_of_the_standard_find_violations(change):
    assert list(violations({**pods(render())[0], **change}))


def test_openshift_chooses_the_users_itself():
    for pod in pods(render(openshift=True)):
        assert not {"fsGroup", "runAsGroup", "runAsUser"} & set(pod["securityContext"])
    assert {"Route", "Ingress"} & {each["kind"] for each in render(openshift=True)} == {"Route"}
    assert {"Route", "Ingress"} & {each["kind"] for each in render()} == {"Ingress"}


def test_a_trigger_of_openshift_changes_all_containers_of_a_pod():
    manifests = render(openshift=True, image_triggers=True)
    web = next(each for each in manifests if (each["kind"], each["metadata"]["name"]) == ("Deployment", "web"))
    triggers = json.loads(web["metadata"]["annotations"]["image.openshift.io/triggers"])
    containers = web["spec"]["template"]["spec"]
    names = [each["name"] for each in [*containers["containers"], *containers["initContainers"]]]
    assert [each["fieldPath"].split('"')[1] for each in triggers] == names


def test_code_comes_from_the_image_and_is_read_only():
    web = pods(render())[1]
    mounts = {each["mountPath"]: each for each in web["containers"][0]["volumeMounts"]}
    assert mounts["/srv"] == {"mountPath": "/srv", "name": "web-code-222222222222", "readOnly": True}
    assert {"emptyDir": {}, "name": "web-code-222222222222"} in web["volumes"]
    assert web["initContainers"][0]["command"] == ["fill"]
    assert web["initContainers"][0]["image"] == web["containers"][0]["image"]


def test_a_database_ends_before_its_successor_starts():
    database, web = (each["spec"]["strategy"] for each in render() if each["kind"] == "Deployment")
    assert database == {"type": "Recreate"}
    assert web["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert swarm.service_spec(SITE, DATABASE, swarm.SwarmSettings(), IDS, "")["UpdateConfig"]["Order"] == "stop-first"


def test_an_autoscaler_owns_the_number_of_replicas():
    busy = Site("shop", (DATABASE, msgspec.structs.replace(SERVER, most_replicas=5)), SITE.volumes)
    objects = [each for group in kubernetes.render(busy, CLUSTER, SECRETS) for each in group.objects]
    web = next(each for each in objects if each["kind"] == "Deployment" and each["metadata"]["name"] == "web")
    assert "replicas" not in web["spec"]
    scaler = next(each for each in objects if each["kind"] == "HorizontalPodAutoscaler")
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 5)


def test_only_the_group_of_secrets_contains_a_secret():
    groups = kubernetes.render(SITE, CLUSTER, SECRETS)
    encoded = base64.b64encode(PASSWORD.encode()).decode()
    assert PASSWORD not in str(groups)
    assert [group.name for group in groups if encoded in str(group.objects)] == ["secrets"]
    assert [group.name for group in groups if group.is_secret] == ["secrets"]
    existing = kubernetes.render(SITE, msgspec.structs.replace(CLUSTER, existing_secret="mine"), SECRETS)
    assert encoded not in str(existing)
    assert "'secretName': 'mine'" in str(existing)
    assert PASSWORD not in str(swarm.service_spec(SITE, SERVER, swarm.SwarmSettings(), IDS, ""))
    assert PASSWORD not in str(quadlet.quadlet_files(SITE, {"password": "name"}))
    assert PASSWORD not in repr(SECRETS)


def test_another_value_is_another_secret():
    other = dataclasses.replace(SECRETS, values={"password": "something else"})
    names = {swarm.swarm_secrets(SITE, values)["password"].name for values in (SECRETS, SECRETS, other)}
    assert len(names) == 2


def test_a_published_service_stops_first_unless_the_mesh_publishes_it():
    for mesh, order, mode in ((False, "stop-first", "host"), (True, "start-first", "ingress")):
        spec = swarm.service_spec(SITE, SERVER, swarm.SwarmSettings(mesh=mesh), IDS, "")
        assert spec["UpdateConfig"]["Order"] == order
        assert spec["EndpointSpec"]["Ports"][0]["PublishMode"] == mode
    hidden = msgspec.structs.replace(SERVER, published=None)
    spec = swarm.service_spec(SITE, hidden, swarm.SwarmSettings(), IDS, "")
    assert spec["EndpointSpec"] == {"Mode": "dnsrr"}
    assert spec["UpdateConfig"]["Order"] == "start-first"


def test_the_digest_of_a_specification_does_not_depend_on_ids_or_the_deployment():
    digests = {
        swarm.service_spec(SITE, SERVER, swarm.SwarmSettings(), {"password": (identifier, "name")}, deployment)[
            "Labels"
        ][SPEC]
        for identifier, deployment in (("1", "a"), ("2", "b"))
    }
    assert len(digests) == 1


def test_a_new_volume_of_an_engine_gets_the_owner_of_a_directory_in_the_image():
    spec = swarm.service_spec(SITE, SERVER, swarm.SwarmSettings(), IDS, "")
    mounts = spec["TaskTemplate"]["ContainerSpec"]["Mounts"]
    targets = {each["Target"]: each["ReadOnly"] for each in mounts if each.get("Source") == "shop_files"}
    assert targets == {"/srv/files": False, "/usr/src/files": True}


def test_a_proxy_of_the_cluster_is_trusted_if_there_is_one():
    service = msgspec.structs.replace(SERVER, ingress_environment={"TRUSTED": "10.0.0.0/8"})
    site = Site("shop", (DATABASE, service), SITE.volumes)
    for host, trusted in (("shop.example.org", ["10.0.0.0/8"]), ("", [])):
        groups = kubernetes.render(site, msgspec.structs.replace(CLUSTER, host=host), SECRETS)
        pod = pods([each for group in groups for each in group.objects])[1]
        assert [each["value"] for each in pod["containers"][0]["env"] if each["name"] == "TRUSTED"] == trusted


def test_systemd_holds_the_published_port():
    files = {file.name: file.content for file in quadlet.quadlet_files(SITE, {"password": "name"})}
    assert "ListenStream=8000" in files["shop-web-1.socket"]
    assert "PublishPort" not in "".join(files.values())


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a b", '"a b"'),
        ('a"b', '"a\\"b"'),
        ("50%", '"50%%"'),
        ("a\nb", '"a\\nb"'),
        ("a\\b", '"a\\\\b"'),
        ("${a}", '"$${a}"'),
    ],
)
def test_values_in_units_are_quoted(text, quoted):
    service = msgspec.structs.replace(SERVER, environment={"A": text})
    site = Site("shop", (DATABASE, service), SITE.volumes)
    units = {file.name: file.content for file in quadlet.quadlet_files(site, {"password": "x"})}
    assert f"Environment={quoted.replace(chr(34), chr(34) + 'A=', 1)}" in units["shop-web-1.container"].splitlines()


def test_a_new_volume_of_quadlets_belongs_to_the_user_of_its_service():
    files = {file.name: file.content for file in quadlet.quadlet_files(SITE, {"password": "name"})}
    assert "User=999\nGroup=999\n" in files["shop-data.volume"]
    assert "User=1001\nGroup=0\n" in files["shop-files.volume"]


def test_the_secrets_of_quadlets_are_stored_by_a_script_without_command_lines_that_contain_them(tmp_path):
    value = "it's $HOME `id` \\ %s"
    podman = tmp_path / "podman"
    podman.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/log\n[ "$2" = create ] && cat > {tmp_path}/stored\n')
    podman.chmod(0o755)
    script = quadlet.secret_script(SITE, {"shop_password_x": value})
    assert (script.name, script.is_secret) == ("shop-secrets.sh", True)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(["sh", "-s"], input=script.content, text=True, env=environment, check=True)
    assert (tmp_path / "stored").read_text() == value
    assert value not in (tmp_path / "log").read_text()
