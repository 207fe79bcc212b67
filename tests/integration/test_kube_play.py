"""`podman kube play` runs the manifests that a cluster gets: database, WordPress and proxy, which answers over HTTP.

With `--engine podman-5`, that engine runs them.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import docker
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.kubernetes import (
    ClusterSettings,
    render,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.rendered_files import (
    compare_files,
    manifest_files,
    write_files,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.wordpress_site import SERVICES
from demo_site import SECRETS, demo_site
from engines import machine

from .test_podman import podman as podman  # noqa: PLC0414 - a fixture

pytestmark = pytest.mark.once

NAME = "twtest-site"
#: Podman 4.3 gives all pods of a Deployment the same empty folders.
ONE_OF_EACH = dict.fromkeys(SERVICES, 1)
_SERVICE_OF_5 = "unix:///run/podman/podman.sock"


@dataclass(frozen=True)
class Played:
    """The running site."""

    client: docker.DockerClient
    files: dict[str, Path]
    address: str
    browser: OpenerDirector

    def container(self, name: str) -> Any:
        """A container by the name that it has in its pod."""
        (found,) = [each for each in self.client.containers.list(all=True) if each.name.endswith(f"-{name}")]
        return found

    def run(self, service: str, *command: str) -> tuple[int, str]:
        """Run a command. Podman 4.3 sometimes loses the output, so commands print something."""
        for _ in range(5):
            code, output = self.container(service).exec_run(list(command))
            if output:
                break
        return code, output.decode()

    def get(self, path: str, **fields: str) -> str:
        data = urlencode(fields).encode() if fields else None
        with self.browser.open(self.address + path, data, timeout=60) as answer:
            content: bytes = answer.read()
        return content.decode()


def ask(client: docker.DockerClient, method: str, path: str, **options: Any) -> Any:
    """Send a request in Podman's own API."""
    answer = client.api.request(method, f"{client.api.base_url}/v4.0.0/libpod/{path}", timeout=300, **options)
    assert answer.ok, answer.text
    return answer


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            if condition():
                return
        except (HTTPError, OSError):
            pass
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


@pytest.fixture(scope="module")
def client(request: pytest.FixtureRequest) -> Iterator[docker.DockerClient]:
    """The engine that plays: Podman of Debian 12, or the Podman that `--engine` names."""
    if os.environ.get(machine.VARIABLE, "").startswith("podman"):
        connection = docker.DockerClient(base_url=_SERVICE_OF_5, timeout=600)
        yield connection
        connection.close()
    else:
        yield request.getfixturevalue("podman").client


@pytest.fixture(scope="module")
def images(client: docker.DockerClient, demo: dict[str, Any], engine: docker.DockerClient) -> dict[str, str]:
    """The images of the demo chain in Podman, by service, named by their digests."""
    sources = {service: engine.images.get(f"{service}:latest") for service in SERVICES}
    assert set(sources) - set(demo) <= {"haproxy"}
    if not all(client.images.list(filters={"reference": f"{service}:latest"}) for service in SERVICES):
        names = [f"{service}:latest" for service in SERVICES]
        with subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE) as saving:
            list(client.api.load_image(saving.stdout))
    found = {service: client.images.get(sources[service].id).attrs["RepoDigests"] for service in SERVICES}
    return {service: names[0] for service, names in found.items()}


@pytest.fixture(scope="module")
def played(
    client: docker.DockerClient, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Played]:
    site = demo_site(images, NAME, replicas=ONE_OF_EACH)
    folder = tmp_path_factory.mktemp("rendered")
    files = manifest_files(render(site, ClusterSettings(NAME), SECRETS))
    write_files(folder, compare_files(folder, files))
    paths = {file.name.partition("-")[2].removesuffix(".yaml"): folder / file.name for file in files}
    ask(client, "post", "networks/create", json={"name": NAME, "dns_enabled": True})
    try:
        for part in ("secrets", *SERVICES):
            ask(client, "post", "play/kube", data=paths[part].read_bytes(), params={"network": f"{NAME}:alias={part}"})
        browser = build_opener(HTTPCookieProcessor(CookieJar()))
        proxy = next(each for each in client.containers.list() if each.name.endswith("-haproxy"))
        (pod,) = ask(client, "get", "pods/json", params={"filters": json.dumps({"ctr-ids": [proxy.id]})}).json()
        infra = client.containers.get(pod["InfraId"])
        address = infra.attrs["NetworkSettings"]["Networks"][NAME]["IPAddress"]
        yield Played(client, paths, f"http://{address}:8080", browser)
    finally:
        for pod in ask(client, "get", "pods/json").json() or []:
            ask(client, "delete", f"pods/{pod['Id']}", params={"force": "true"})
        for volume in client.volumes.list():
            if volume.name.startswith((NAME, *SERVICES)):
                volume.remove(force=True)
        for secret in ask(client, "get", "secrets/json").json():
            ask(client, "delete", f"secrets/{secret['ID']}")
        ask(client, "delete", f"networks/{NAME}")


def test_the_site_answers_through_the_proxy(played):
    wait_until(lambda: "install.php?step=2" in played.get("/"), "the proxy finds no replica")
    for container, check in {
        "mariadb": ["/usr/local/bin/healthcheck.sh", "--connect", "--innodb_initialized"],
        "wordpress": ["httpd-php-healthcheck"],
        "haproxy": ["haproxy-healthcheck", "--ready"],
    }.items():
        wait_until(lambda container=container, check=check: played.run(container, *check)[0] == 0, container)
    installed = played.get(
        "/wp-admin/install.php?step=2",
        weblog_title="Played", user_name="admin", admin_password="a long password", admin_password2="a long password",
        admin_email="admin@example.org", blog_public="0",
    )  # fmt: skip
    assert "Success" in installed
    assert "<title>Played" in played.get("/")
    code, output = played.run(
        "wordpress", "sh", "-c", "echo kept > wp-content/uploads/kept; cat wp-content/uploads/kept"
    )
    assert (code, output) == (0, "kept\n")
    assert played.get("/wp-content/uploads/kept") == "kept\n"


@pytest.mark.parametrize("service", SERVICES)
def test_no_container_has_rights_that_it_does_not_need(played, service):
    status = Path(f"/proc/{played.container(service).attrs['State']['Pid']}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {fields[f"Cap{kind}"] for kind in ("Eff", "Bnd", "Prm", "Inh", "Amb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"
    assert "0" not in fields["Uid"].split()
    code, output = played.run(service, "touch", "/etc/new")
    assert code != 0
    assert "Read-only file system" in output
    found = played.container(service).attrs
    assert found["HostConfig"]["ReadonlyRootfs"]
    assert found["HostConfig"]["Memory"] > 0


def test_the_server_cannot_change_its_code(played):
    code, output = played.run("wordpress", "touch", "/var/www/html/index.php")
    assert code != 0
    assert "Read-only file system" in output


def test_secrets_are_only_in_secrets(played):
    values = list(SECRETS.values.values())
    seen = [played.container(service).attrs for service in SERVICES]
    rendered = [path.read_text() for name, path in played.files.items() if name != "secrets"]
    assert not [value for value in values if value in str([*seen, *rendered])]
    code, output = played.run("wordpress", "cat", "/run/secrets/database_password")
    password = SECRETS.values["database_password"]
    if played.client.version()["Version"].startswith("4."):  # it does not decode the data of a secret
        password = base64.b64encode(password.encode()).decode()
    assert (code, output) == (0, password)
    environment = played.run("wordpress", "cat", "/proc/1/environ")[1]
    assert "WORDPRESS_DB_PASSWORD_FILE=/run/secrets/database_password" in environment
    assert not [value for value in values if value in environment]


def test_only_the_proxy_has_a_port_of_the_machine(played):
    ports = {
        port
        for each in played.client.containers.list()
        for port, found in (each.attrs["NetworkSettings"]["Ports"] or {}).items()
        if found
    }
    assert ports <= {"8080/tcp"}
