"""Fixtures of integration tests: the engine, the playbook, and chains that are fast to build."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.request import Request, urlopen

import docker
import docker.errors
import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from python_image import python_image as image_with_python
from real_registry import docker_registry
from relay import Relay
from sdk_client import sdk_client

from .machines import (  # noqa: F401
    pytest_configure,
    pytest_report_header,
    pytest_xdist_auto_num_workers,
    pytest_xdist_setupnodes,
)
from .removal import remove_images, remove_interpreter

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
#: Seconds that each file takes, stored by `tests/durations.py keep`. A file that is not in it counts as long.
DURATIONS = Path(__file__).with_name("durations.json")
LONG = 1000
#: Environment variable with the shared base of an outer test session: its name and its archive, as JSON.
OUTER_BASE = "TWTEST_BASE"
_OUTER = json.loads(os.environ.get(OUTER_BASE, "{}"))
#: The base of all small chains. It is unique to the session and its inner sessions: two sessions can share an engine.
SHARED_BASE = _OUTER.get("name") or f"twtest-{secrets.token_hex(4)}/base"
#: Environment variable with the image with Python, if an outer test session made one.
PYTHON_IMAGE = "TWTEST_PYTHON_IMAGE"
DEMO = ("base", "corebuild", "httpd-php", "mariadb", "haproxy", "wordpress")


#: The tasks of most tiers in tests. `raw` takes a tenth of the time of a module; other tests test modules.
WRITE = """
- name: Write a file
  ansible.builtin.raw: echo {{ inventory_hostname }} > /etc/{{ inventory_hostname }}
"""

#: The forms of a manifest that a registry may return.
MANIFESTS = {
    "Accept": "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
}

HOSTILE = """
FROM {base}
ENTRYPOINT ["/bin/false"]
CMD ["swallowed"]
VOLUME ["/srv/data", "/etc/apt"]
ENV MODE=hostile PYTHONHOME=/x PYTHONPATH=/x LD_LIBRARY_PATH=/x BASH_ENV=/x IFS=x
LABEL io.tierwright.tier=forged org.example.kept=yes
HEALTHCHECK --interval=1s CMD false
ONBUILD RUN false
WORKDIR /nonexistent/folder
STOPSIGNAL SIGUSR1
EXPOSE 9999
USER 1001
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test a time limit, and start with the longest files."""
    for item in items:
        item.add_marker(pytest.mark.timeout(900))
    durations = json.loads(DURATIONS.read_text())
    items.sort(key=lambda item: -durations.get(item.path.name, LONG))


@dataclass(frozen=True)
class Run:
    """A finished ansible-playbook."""

    code: int
    output: str

    def expect(self, code: int = 0) -> Run:
        assert self.code == code, self.output
        return self

    @property
    def message(self) -> str:
        """The output without the line breaks and the doubled quotes that YAML puts into long messages."""
        return " ".join(self.output.replace("''", "'").split())


Playbook = Callable[..., Run]


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The engine. `make integration` installs one if necessary."""
    client = sdk_client()
    yield client
    client.close()


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a user with an empty state folder. Deprecation warnings are on."""
    return {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "XDG_STATE_HOME": str(tmp_path_factory.mktemp("state")),
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        "ANSIBLE_DEPRECATION_WARNINGS": "true",
        "ANSIBLE_FORCE_COLOR": "false",
        "ANSIBLE_NOCOLOR": "true",
    }


@pytest.fixture(scope="session")
def playbook(environment: dict[str, str]) -> Playbook:
    """Run ansible-playbook in the clone, as a user does. A deprecation warning fails the test."""

    def run(*arguments: str, cwd: Path = ROOT, env: dict[str, str] | None = None, timeout: int = 800) -> Run:
        try:
            process = subprocess.run(
                ["ansible-playbook", *arguments],
                cwd=cwd,
                env={**environment, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            pytest.fail(f"{error}\n{bytes(error.stdout or b'').decode(errors='replace')}")
        assert "DEPRECATION WARNING" not in process.stdout, process.stdout
        assert "Traceback" not in process.stdout, process.stdout
        return Run(process.returncode, process.stdout)

    return run


@pytest.fixture(scope="session")
def demo(playbook: Playbook, engine: docker.DockerClient) -> dict[str, Any]:
    """The images of the demo chain, by tier. The chain is built if it is not up to date."""
    playbook("build-chain.yml").expect()
    return {tier: engine.images.get(f"{tier}:latest") for tier in DEMO}


def make_clone(folder: Path) -> None:
    """Make a folder a clone of this project, by the URL of its origin. It may then use the chain names of this one."""
    command = ["git", "config", "--get", "remote.origin.url"]
    origin = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip() or str(ROOT)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    subprocess.run(["git", "remote", "add", "origin", origin], cwd=folder, check=True)


@pytest.fixture
def demo_copy(tmp_path: Path) -> Path:
    """The folder of the demo's inventory in a separate clone, for the demo chain with additional tiers."""
    folder = tmp_path / "clone/inventories/wordpress"
    shutil.copytree(ROOT / "inventories/wordpress", folder)
    make_clone(tmp_path / "clone")
    return folder


@pytest.fixture(scope="session")
def demo_base(playbook: Playbook, engine: docker.DockerClient) -> Any:
    """The base of the demo chain, without the other tiers."""
    playbook("build-chain.yml", "--limit", "base").expect()
    return engine.images.get("base:latest")


@pytest.fixture(scope="session")
def rootfs(
    demo_base: Any, engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The base of the demo chain as an archive of its root file system, for `tier_import`.

    An inner session uses the archive of the outer one, so they share the base and its mounted Python.
    """
    if _OUTER:
        yield _OUTER["archive"]
        return
    yield export_image(engine, demo_base.id, tmp_path_factory.mktemp("rootfs") / "base.tar")
    for image in engine.images.list(SHARED_BASE):
        remove_interpreter(engine, str(image.id))
    remove_images(engine, f"reference={SHARED_BASE}")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry without a login, for all tests."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture
def hostile(registry: str, engine: Any, demo_base: Any) -> Iterator[str]:
    """An image, by digest, whose settings disturb a build as much as possible."""
    name = f"{registry}/hostile-{secrets.token_hex(4)}"
    engine.images.build(fileobj=io.BytesIO(HOSTILE.format(base=demo_base.id).encode()), tag=name, rm=True)
    engine.images.push(name)
    with urlopen(Request(f"http://{name.replace('/', '/v2/', 1)}/manifests/latest", headers=MANIFESTS)) as response:
        pinned = f"{name}@{response.headers['Docker-Content-Digest']}"
    engine.images.remove(name)
    yield pinned
    if engine.images.list(pinned):
        engine.images.remove(pinned)


@pytest.fixture(scope="session")
def python_image(demo_base: Any, engine: docker.DockerClient) -> Iterator[str]:
    """The base of the demo chain with its own Python, and sudo. An inner session uses the image of the outer one."""
    if image := os.environ.get(PYTHON_IMAGE):
        yield image
        return
    with image_with_python(engine, demo_base.id) as image:
        yield image


@dataclass
class SmallChain:
    """A chain of small roles in its own folder."""

    folder: Path
    name: str
    playbook: Playbook
    engine: docker.DockerClient
    tiers: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Facts that its roles need. Gathering facts takes as long as the rest of a small tier.
    facts: list[str] = field(default_factory=list)

    def tier(self, name: str, tasks: str = "", **variables: Any) -> SmallChain:
        """Add a tier, and its role if tasks are given."""
        settings = {f"tier_{key}": value for key, value in variables.items()}
        self.tiers[name] = {"tier_image": f"{self.name}/{name}", **settings}
        if tasks:
            role = self.folder / "roles" / name.replace("-", "_") / "tasks"
            role.mkdir(parents=True, exist_ok=True)
            (role / "main.yml").write_text(tasks)
        return self

    def tests(self, tier: str, text: str) -> SmallChain:
        """Write the tests of a role, and replace earlier ones."""
        folder = self.folder / "roles" / tier.replace("-", "_") / "tests"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test_it.py").write_text(textwrap.dedent(text))
        return self

    def write(self) -> Path:
        """Write the inventory."""
        inventory = self.folder / "chain.yml"
        chain = {"all": {"vars": {"tier_chain": self.name, "tier_gather_subset": self.facts}}}
        teams = {"operations": {"hosts": self.tiers}}
        inventory.write_text(yaml.safe_dump({**chain, "tiers": {"children": teams}}, sort_keys=False))
        return inventory

    def build(self, *arguments: str, playbook: str = "build-chain.yml", **options: Any) -> Run:
        return self.playbook(playbook, "-i", str(self.write()), *arguments, **options)

    def image(self, tier: str) -> Any:
        return self.engine.images.get(f"{self.tiers[tier]['tier_image']}:latest")

    def released(self, tier: str) -> bool:
        return bool(self.engine.images.list(f"{self.tiers[tier]['tier_image']}:latest"))

    def run(self, tier: str, *command: str, **options: Any) -> str:
        """The output of a command in a container of the tier's image."""
        return run_container(self.engine, self.image(tier).id, list(command), **options)


MakeChain = Callable[[Path], contextlib.AbstractContextManager[SmallChain]]


@pytest.fixture(scope="session")
def make_chain(playbook: Playbook, engine: docker.DockerClient, rootfs: dict[str, str]) -> MakeChain:
    """Make a chain in a folder, on the base of the demo chain. Its images are removed afterwards."""
    return lambda folder: _chain(folder, playbook, engine, rootfs)


@pytest.fixture
def small_chain(tmp_path: Path, make_chain: MakeChain) -> Iterator[SmallChain]:
    """A chain for one test."""
    with make_chain(tmp_path) as chain:
        yield chain


@contextlib.contextmanager
def _chain(
    folder: Path, playbook: Playbook, engine: docker.DockerClient, rootfs: dict[str, str]
) -> Iterator[SmallChain]:
    chain = SmallChain(folder, f"twtest-{secrets.token_hex(4)}", playbook, engine)
    # All chains of all tests share the name and the key of the base, so it is made once.
    tier_import: dict[str, Any] = {"import": rootfs}
    chain.tier("base", image=SHARED_BASE, **tier_import)
    yield chain
    for image in engine.images.list(filters={"label": f"{labels.CHAIN}={chain.name}"}):
        if labels.PARENT not in image.labels and not any(tag.startswith(SHARED_BASE) for tag in image.tags):
            remove_interpreter(engine, str(image.id))
    remove_images(engine, f"label={labels.CHAIN}={chain.name}", keep=SHARED_BASE)
    for claim in engine.volumes.list(filters={"label": f"{labels.CHAIN}={chain.name}"}):
        claim.remove()


def run_container(engine: docker.DockerClient, image: str, command: list[str] | None = None, **options: Any) -> str:
    """The output of a command in a new container. Its exit status must be 0."""
    container = engine.containers.run(image, command, detach=True, network_mode="none", **options)
    try:
        code = container.wait(timeout=120)["StatusCode"]
        output: bytes = container.logs(stderr=False)
        assert code == 0, container.logs().decode()
        return output.decode()
    finally:
        container.remove(v=True, force=True)


def export_image(engine: docker.DockerClient, image: str, archive: Path) -> dict[str, str]:
    """Write the files of an image into an archive, for `tier_import`."""
    container = engine.containers.create(image, command=["-"])
    digest = hashlib.sha256()
    try:
        with archive.open("wb") as file:
            for piece in cast(Iterator[bytes], container.export()):
                digest.update(piece)
                file.write(piece)
    finally:
        container.remove(v=True)
    return {"archive": str(archive), "checksum": f"sha256:{digest.hexdigest()}"}


@pytest.fixture
def remote() -> Iterator[Relay]:
    """A relay that makes the engine reachable over TCP, like a remote engine."""
    address = engine_address()
    assert address.startswith("unix://")
    relay = Relay(address.removeprefix("unix://"))
    relay.start()
    yield relay
    relay.close()
    relay.join()


@pytest.fixture(autouse=True)
def nothing_is_left(engine: docker.DockerClient) -> Iterator[None]:
    """Check that no test leaves behind a build container, or an image of a build."""
    before = _objects_of_builds(engine)
    yield
    assert _objects_of_builds(engine) - before == set()


def _objects_of_builds(engine: docker.DockerClient) -> set[str]:
    filters: dict[str, Any] = {"label": labels.RUN}
    containers = engine.containers.list(all=True, filters=filters, ignore_removed=True)
    return {str(item.id) for item in (*containers, *engine.images.list(filters=filters))}
