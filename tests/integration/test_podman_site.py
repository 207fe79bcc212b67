"""Podman runs a site: `podman kube play` the manifests that a cluster gets, and systemd's commands of the quadlets.

With `--engine podman-5`, that engine runs the manifests.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
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
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.quadlet import (
    quadlet_files,
    secret_script,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.rendered_files import (
    RenderedFile,
    compare_files,
    manifest_files,
    write_files,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.swarm import swarm_secrets
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.wordpress_site import SERVICES
from demo_site import SECRETS, demo_site
from engines import machine, roots
from engines.catalogue import CHOICES

from .test_podman import podman as podman  # noqa: PLC0414 - a fixture

pytestmark = [pytest.mark.once, pytest.mark.sampled("sites")]

NAME, UNITS = "twtest-site", "twtest-units"
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
def images(client: docker.DockerClient, demo: dict[str, Any]) -> dict[str, str]:
    """The images of the demo chain in Podman, by service, named by their digests."""
    if not all(client.images.list(filters={"reference": f"{service}:latest"}) for service in SERVICES):
        names = [f"{service}:latest" for service in SERVICES]
        with subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE) as saving:
            list(client.api.load_image(saving.stdout))
    found = {service: client.images.get(demo[service].id).attrs["RepoDigests"] for service in SERVICES}
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
        pod = next(each for each in ask(client, "get", "pods/json").json() if each["Name"].startswith("haproxy-pod"))
        infra = client.containers.get(pod["InfraId"])
        address = infra.attrs["NetworkSettings"]["Networks"][NAME]["IPAddress"]
        yield Played(client, paths, f"http://{address}:8080", browser)
    finally:
        for pod in ask(client, "get", "pods/json").json() or []:
            # Nothing must be kept, so the database need not end in order.
            ask(client, "post", f"pods/{pod['Id']}/kill", params={"signal": "KILL"})
            ask(client, "delete", f"pods/{pod['Id']}", params={"force": "true"})
        remove_all(client, NAME, *SERVICES)


def remove_all(client: docker.DockerClient, name: str, *others: str) -> None:
    """Remove volumes, secrets and the network of a site."""
    for volume in client.volumes.list():
        if volume.name.startswith((name, *others)):
            volume.remove(force=True)
    for secret in ask(client, "get", "secrets/json").json():
        if secret["Spec"]["Name"].startswith(name):
            ask(client, "delete", f"secrets/{secret['ID']}")
    ask(client, "delete", f"networks/{name}")


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


GENERATOR = "usr/libexec/podman/quadlet"


def quadlets(folder: Path, images: dict[str, str] | None = None, replicas: int = 2) -> list[RenderedFile]:
    """Render the quadlets of a site into a folder."""
    site = demo_site(images, UNITS, replicas={**ONE_OF_EACH, "wordpress": replicas})
    names = {key: each.name for key, each in swarm_secrets(site, SECRETS).items()}
    script = secret_script(site, {name: SECRETS.values[key] for key, name in names.items()})
    files = [*quadlet_files(site, names), script]
    write_files(folder, compare_files(folder, files))
    return files


def generate(folder: Path) -> dict[str, str]:
    """Return the units that the generator of Podman 5 makes of quadlets, by name."""
    try:
        root = roots.fetch(CHOICES["podman-5"])
    except roots.UnavailableError as error:
        pytest.skip(str(error))
    process = subprocess.run(
        [root / GENERATOR, "-dryrun"],
        env={**os.environ, "QUADLET_UNIT_DIRS": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert [line for line in process.stderr.splitlines() if "Loading source unit file" not in line] == []
    pieces = re.split(r"^---(\S+)---$", process.stdout, flags=re.MULTILINE)[1:]
    return dict(zip(pieces[::2], pieces[1::2], strict=True))


def test_podmans_generator_makes_valid_units(tmp_path):
    files = quadlets(tmp_path / "quadlets")
    units = generate(tmp_path / "quadlets")
    services = [f"{UNITS}-{name}.service" for name in ("mariadb", "wordpress-1", "wordpress-2", "haproxy")]
    assert set(services) < set(units)
    folder = tmp_path / "units"
    folder.mkdir()
    for name, content in units.items():
        (folder / name).write_text(content)
    for file in files:
        if file.name.endswith(".socket"):
            (folder / file.name).write_text(file.content)
    command = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(folder.iterdir()))]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    # The sections X-Container and others are notes of the generator.
    assert [line for line in process.stderr.splitlines() if UNITS in line and "Unknown section 'X-" not in line] == []


def command_of(unit: str) -> list[str]:
    """The words of ExecStart, as systemd reads them."""
    (line,) = re.findall(r"^ExecStart=(.*)$", unit, flags=re.MULTILINE)
    words = shlex.split(line.replace("\\n", "\n"))
    return [word.replace("$$", "$").replace("%%", "%") for word in words]


#: What only systemd can give to a container.
OF_SYSTEMD = ("--cgroups=", "--cidfile=", "--sdnotify=")


def test_the_commands_of_the_units_start_the_site(client, images, tmp_path):
    if not client.version()["Version"].startswith("4."):
        pytest.skip("the client of this machine is Podman 4")
    quadlets(tmp_path, images, 1)
    units = generate(tmp_path)
    socket = client.api.get_adapter(client.api.base_url).socket_path
    podman = ["podman", "--url", f"unix://{socket}"]

    def run(*words: str, **options: Any) -> str:
        process = subprocess.run([*podman, *words], capture_output=True, text=True, check=False, **options)
        assert process.returncode == 0, process.stderr
        return process.stdout

    (tmp_path / "podman").write_text(f'#!/bin/sh\nexec /usr/bin/{shlex.join(podman)} "$@"\n')
    (tmp_path / "podman").chmod(0o755)
    script = (tmp_path / f"{UNITS}-secrets.sh").read_text()
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-s"], input=script, text=True, env=environment, check=True)
    containers = [f"{UNITS}-{service}" for service in SERVICES]
    try:
        ask(client, "post", "networks/create", json={"name": UNITS, "dns_enabled": True})
        for volume in ("data", "uploads"):
            _podman, *words = command_of(units[f"{UNITS}-{volume}-volume.service"])
            run(*(word for word in words if word != "--ignore"))
        for container in containers:
            _podman, *words = command_of(units[f"{container}.service"])
            # The port comes from systemd, too.
            words = [word.replace("HAPROXY_LISTEN_HTTP=fd@3", "HAPROXY_LISTEN_HTTP=:8080") for word in words]
            run(*(word for word in words if not word.startswith(OF_SYSTEMD)))
        found = client.containers.get(f"{UNITS}-haproxy").attrs["NetworkSettings"]["Networks"][UNITS]["IPAddress"]
        browser = build_opener(HTTPCookieProcessor(CookieJar()))
        site = Played(client, {}, f"http://{found}:8080", browser)
        wait_until(lambda: "install.php?step=2" in site.get("/"), "the proxy finds no replica")
        for container in containers:
            attributes = client.containers.get(container).attrs
            assert attributes["HostConfig"]["ReadonlyRootfs"]
            assert not [value for value in SECRETS.values.values() if value in str(attributes)]
            status = Path(f"/proc/{attributes['State']['Pid']}/status").read_text()
            assert re.search(r"^CapBnd:\t0{16}$", status, re.MULTILINE)
            assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
        _code, output = client.containers.get(f"{UNITS}-wordpress").exec_run(
            ["sh", "-c", "echo $WORDPRESS_CONFIG_EXTRA"]
        )
        assert "($site_end = time() + 25;" in output.decode()
        written = client.containers.get(f"{UNITS}-wordpress").exec_run(
            ["sh", "-c", "touch wp-content/uploads/new; echo $?"]
        )
        assert written.output == b"0\n"
    finally:
        for container in client.containers.list(all=True):
            if container.name in containers:
                container.remove(v=True, force=True)
        remove_all(client, UNITS)
