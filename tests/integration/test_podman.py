"""Chains on Podman, through its Docker-compatible service, which these tests start with separate storage."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import secrets
import signal
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

import made_images as handmade
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.configuration import document
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing import loading
from sdk_client import as_engine

from .conftest import BIN, WRITE, Playbook, SmallChain
from .engines import wait_for

pytestmark = [pytest.mark.once, pytest.mark.own_engine]

BASE = "twtest/base"  # the same name and build key in all chains, so it is built once
UPDATE = "- name: Use the package manager's lists\n  ansible.builtin.apt: {update_cache: true}\n"

# Settings that work on every machine: without systemd, with both versions of cgroups, without CAP_SYS_RESOURCE.
# The soft and hard limits are equal, because this version of Podman mixes them up.
CONFIGURATION = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
tmp_dir = "{folder}/tmp"
volume_path = "{folder}/volumes"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""


@dataclass(frozen=True)
class Podman:
    """A running service."""

    address: str
    client: docker.DockerClient


@pytest.fixture(scope="session")
def podman(registry: str) -> Iterator[Podman]:
    """Podman's service with a separate socket and separate storage, which are both removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="twtest-") as name:
        folder = Path(name)
        (folder / "containers.conf").write_text(CONFIGURATION.format(folder=folder))
        address = f"unix://{folder}/podman.sock"
        command = ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run"]
        (folder / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
        environment = {
            **os.environ,
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
        }
        with (folder / "log").open("wb") as log:
            service = subprocess.Popen(
                [*command, "system", "service", "--time=0", address], env=environment, stdout=log, stderr=log
            )
        try:
            client = _connect(address, service, folder / "log")
            yield Podman(address, client)
            _remove_everything(client)
            client.close()
        finally:
            service.terminate()
            service.wait(30)
            _end_monitors(folder)
            # Podman mounts the folder of its layers onto itself.
            subprocess.run(["umount", "--quiet", folder / "root/overlay"], check=False)


def _connect(address: str, service: subprocess.Popen[bytes], log: Path) -> docker.DockerClient:
    deadline = time.monotonic() + 60
    while True:
        try:
            return docker.DockerClient(base_url=address, version="auto", timeout=600)
        except docker.errors.DockerException:
            assert service.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def _end_monitors(folder: Path) -> None:
    """End the conmon processes of the service: they wait five minutes, then clean up in storage that is gone."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # the process ended by itself
            words = command.read_bytes().split(b"\0")
            if Path(os.fsdecode(words[0])).name == "conmon" and any(bytes(folder) + b"/" in word for word in words):
                os.kill(int(command.parent.name), signal.SIGKILL)


def _remove_everything(client: docker.DockerClient) -> None:
    for container in client.containers.list(all=True):
        container.remove(v=True, force=True)
    for image in client.images.list(all=True):
        client.images.remove(image.id, force=True)


@pytest.fixture(scope="session")
def bare_rootfs(
    demo: dict[str, Any], engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The layer of the demo's base. Unlike the export of a container, it has no mount points of Docker."""
    (digest,) = layers(demo["base"])
    folder = tmp_path_factory.mktemp("bare")
    files = loading.extract_layers(as_engine(engine).images.save(demo["base"].id), {digest}, folder)
    yield {"archive": str(files[digest]), "checksum": digest}
    files[digest].unlink()


@pytest.fixture
def chain(tmp_path: Path, playbook: Playbook, podman: Podman, bare_rootfs: dict[str, str]) -> SmallChain:
    """A small chain on Podman. Its images are removed together with the storage."""

    def run(*arguments: str, **options: Any) -> Any:
        return playbook(*arguments, env={"DOCKER_HOST": podman.address}, **options)

    small = SmallChain(tmp_path, f"twtest-{secrets.token_hex(4)}", run, podman.client)
    small.tier("base", image=BASE, **{"import": bare_rootfs})
    return small


@pytest.fixture(autouse=True)
def nothing_is_left(podman: Podman) -> Iterator[None]:
    """Check that a test leaves no container, no volume and no image without a name: all would be ours."""
    yield
    assert podman.client.containers.list(all=True) == []
    named = ("RepoTags", "RepoDigests")  # an image that was pulled by its digest has a name without a tag
    images = podman.client.images.list(all=True)
    assert [image.id for image in images if not any(image.attrs.get(key) for key in named)] == []
    # An interpreter is kept for the next build on the same base.
    shared = ("tierwright-python-", "tierwright-cache-", "tierwright-chain-")  # the last is the claim of a chain
    assert [volume.name for volume in podman.client.volumes.list() if not volume.name.startswith(shared)] == []


def layers(image: Any) -> list[str]:
    digests: list[str] = image.attrs["RootFS"]["Layers"]
    return digests


def entries(client: docker.DockerClient, image: Any) -> dict[str, tarfile.TarInfo]:
    """The entries of the last layer of an image, by name."""
    saved = io.BytesIO(b"".join(client.api.get_image(image.id)))
    with tarfile.open(fileobj=saved) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        with tarfile.open(fileobj=archive.extractfile(manifest[0]["Layers"][-1])) as layer:
            return {entry.name: entry for entry in layer}


def test_podman_and_docker_are_distinguished(podman, engine):
    assert as_engine(podman.client).kind.commits_mount_points
    assert not as_engine(engine).kind.commits_mount_points


def test_each_tier_is_one_layer_and_an_unchanged_chain_is_kept(chain, podman):
    check = {"test": ["CMD", "true"], "interval": "30s", "retries": 3}
    chain.tier("one", WRITE, parent="base", config={"healthcheck": check, "volumes": ["/srv"], "user": "7"})
    chain.tier("idle", "- name: Do nothing\n  ansible.builtin.command: 'true'\n", parent="one")
    chain.tier("two", WRITE, parent="idle", config={"user": "1001"})
    built = chain.build().expect()
    base, one, idle, two = (chain.image(tier) for tier in ("base", "one", "idle", "two"))
    assert [len(layers(image)) for image in (base, one, idle, two)] == [1, 2, 3, 4]
    assert layers(two)[:3] == layers(idle)
    assert layers(two)[:1] == layers(base)
    assert set(entries(podman.client, idle)) <= {"tmp"}
    # The table shows the names of the inventory, without the prefix that Podman adds.
    assert f"two   {chain.name}/two:latest " in built.output
    assert chain.run("two", "cat", "/etc/one", "/etc/two") == "one\ntwo\n"
    assert (one.attrs["Config"]["User"], two.attrs["Config"]["User"]) == ("7", "1001")
    assert two.labels[labels.PARENT] == idle.id
    assert [entry["CreatedBy"] for entry in two.history()][:3] == [
        "tierwright: tier two: role two",
        "tierwright: tier idle: role idle",
        "tierwright: tier one: role one",
    ]
    container = podman.client.api.create_container(two.id, command=["-"])
    try:  # inherited, although Podman does not report it for images in Docker's API
        inherited = podman.client.api.inspect_container(container["Id"])["Config"]["Healthcheck"]
    finally:
        podman.client.api.remove_container(container["Id"], v=True)
    assert (inherited["Test"], inherited["Retries"]) == (["CMD", "true"], 3)

    again = chain.build().expect()
    assert "changed=0" in again.output
    assert "nothing changed" in again.output
    assert chain.image("two").id == two.id


def test_a_tier_is_built_on_a_pulled_base(chain, podman, hostile):
    write = (
        "- name: Write where the parent has a volume\n  ansible.builtin.copy: {content: kept, dest: /srv/data/file}\n"
    )
    folder = "- name: Make the folder\n  ansible.builtin.file: {path: /srv/data, state: directory, mode: '0755'}\n"
    volumes = {"volumes": ["/srv/data", "/etc/apt"]}
    chain.tier("pulled", pull=hostile).tier("heir", folder + write, parent="pulled", config=volumes)
    chain.build("--limit", "pulled,heir").expect()
    pulled, heir = chain.image("pulled"), chain.image("heir")
    assert layers(heir)[:-1] == layers(pulled)
    config = heir.attrs["Config"]
    assert (config["Entrypoint"], config["User"], set(config["Volumes"])) == (
        ["/bin/false"],
        "1001",
        {"/srv/data", "/etc/apt"},
    )
    assert "srv/data/file" in entries(podman.client, heir)


def test_the_layer_has_no_trace_of_the_build_or_podman(chain, podman):
    script = "- name: Run a script from a file\n  ansible.builtin.script: hello.sh\n"
    look = (
        "- name: Look around\n  ansible.builtin.shell: grep -E 'CapEff|NoNewPrivs' /proc/self/status > /etc/status\n"
        "- name: Make what a service finds\n"
        "  ansible.builtin.file: {path: /run/service, state: directory, mode: '0755'}\n"
    )
    chain.tier("one", WRITE + UPDATE + script + look, parent="base")
    (chain.folder / "roles/one/files").mkdir()
    (chain.folder / "roles/one/files/hello.sh").write_text("#!/bin/sh\necho hello > /etc/hello\n")
    chain.build().expect()
    content = entries(podman.client, chain.image("one"))
    assert set(content) - {"tmp"} == {"etc", "etc/hello", "etc/one", "etc/status", "run", "run/service"}
    assert chain.run("one", "cat", "/etc/status").split() == ["CapEff:", "00000000000000cb", "NoNewPrivs:", "1"]
    config = json.dumps(chain.image("one").attrs["Config"])
    assert "noninteractive" not in config
    assert labels.RUN not in config


def test_an_engine_that_needs_all_layers_gets_them(chain, podman, monkeypatch):
    """An engine that stores layers compressed does not find our layers by their digests."""
    chain.build().expect()
    engine = as_engine(podman.client)
    donor = engine.images.get(f"{BASE}:latest")
    complete = []

    def reject_missing_layers(archive, expected):
        pieces = b"".join(archive)
        complete.append(all(layer.removeprefix("sha256:").encode() in names(pieces) for layer in donor.layers))
        if not complete[-1]:
            raise EngineError("some layers are missing")
        return original_load(archive, expected)

    def names(archive):
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            return b" ".join(name.encode() for name in tar.getnames())

    original_load = engine.images.load
    monkeypatch.setattr(engine.images, "load", reject_missing_layers)
    images = []
    try:
        for which in ("first", "second"):
            content = document(
                architecture=donor.architecture,
                os="linux",
                config={"Labels": {"which": f"{chain.name} {which}"}},
                layers=donor.layers,
                history=[],
                created="1970-01-01T00:00:00Z",
            )
            images.append(loading.load(engine, content, loading.Layers(donor.layers, donor=donor.id)).id)
        assert complete == [False, True, True]  # the second image is loaded with all layers at once
        assert engine.images.get(images[1]).layers == donor.layers
    finally:
        for image in images:
            engine.images.remove(image)


def test_the_command_inspects_images_of_podman(podman, tmp_path):
    image_layers = [handmade.layer(("etc/motd", text)) for text in (b"one", b"two")]
    steps = [
        handmade.tier_step("base", "operations"),
        handmade.step("ENV x", empty=True),
        handmade.tier_step("web", "middleware"),
    ]
    images = {
        "localhost/base:1": (handmade.config(image_layers[:1], steps[:1]), image_layers[:1]),
        "localhost/web:1": (handmade.config(image_layers, steps), image_layers),
    }
    list(podman.client.api.load_image(handmade.layer(*handmade.docker_save(images).items())))

    def ask(*arguments):
        environment = {**os.environ, "DOCKER_HOST": podman.address, "XDG_CACHE_HOME": str(tmp_path)}
        command = [BIN / "tierwright", *arguments, "--json"]
        return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)

    base, web = ask("tree", "web:1")["images"]
    assert (base["names"], web["names"], web["parent"]) == (["base:1"], ["web:1"], base["number"])
    assert [layer["layer"]["team"] for layer in ask("layers", "web:1")["layers"]] == ["operations", "middleware"]
    assert ask("blame", "web:1", "/etc/motd")["owner"]["tier"] == "web"


def test_a_failing_role_leaves_no_image(chain, podman):
    broken = WRITE + "- name: Break\n  ansible.builtin.command: sh -c 'echo it is broken >&2; exit 3'\n"
    chain.tier("broken", broken, parent="base").tier("above", WRITE, parent="broken")
    failed = chain.build().expect(2)
    assert "it is broken" in failed.output
    assert "tier 'above' is not built: its parent 'broken' failed" in failed.message
    for tier in ("broken", "above"):
        assert podman.client.images.list(f"{chain.name}/{tier}") == []


def test_a_change_of_a_protected_path_is_rejected(chain):
    touch = "- name: Break in\n  ansible.builtin.shell: echo x >> /etc/one; rm -r /usr/share/doc/tar\n"
    chain.tier("one", WRITE, parent="base", protects=["/etc/one", "/usr/share/doc/*/copyright"])
    failed = chain.tier("two", touch, parent="one").build().expect(2)
    assert "/etc/one (changed" in failed.message
    assert "/usr/share/doc/tar/copyright (removed with /usr/share/doc/tar)" in failed.message


@pytest.mark.sampled
@pytest.mark.parametrize("how", ["kill", "remove"])
def test_a_container_that_dies_is_reported(chain, podman, how):
    chain.tier("one", WRITE + "- name: Take long\n  ansible.builtin.raw: touch /srv/begun; sleep 100\n", parent="base")

    def in_the_middle() -> list[Any]:
        filters = {"label": [f"{labels.CHAIN}={chain.name}", f"{labels.TIER}=one"]}
        containers = podman.client.containers.list(filters=filters)
        with contextlib.suppress(docker.errors.APIError):  # it is listed before it runs
            return (
                containers if containers and containers[0].exec_run(["test", "-e", "/srv/begun"]).exit_code == 0 else []
            )
        return []

    def end_it() -> None:
        containers = wait_for(in_the_middle)
        if how == "kill":
            containers[0].kill()
        else:
            containers[0].remove(force=True, v=True)

    threading.Thread(target=end_it, daemon=True).start()
    failed = chain.build(timeout=90)
    assert failed.code != 0
    message = r"is exited \(exit status 137\)"
    if how == "remove":  # Podman ends a container before it removes it
        message += "|does not exist any more; it was removed"
    assert re.search(message, failed.message), failed.message


def test_rollback_and_prune_work(chain, podman):
    images = []
    for version in range(3):
        chain.tier("one", WRITE.replace("echo", f"echo {version}"), parent="base")
        chain.build().expect()
        images.append(chain.image("one").id)
    inventory = ("-i", str(chain.folder / "chain.yml"))
    chain.playbook("playbooks/rollback.yml", *inventory).expect()
    assert chain.image("one").id == images[1]
    assert podman.client.images.get(f"{chain.name}/one:previous").id == images[2]
    assert "one   keep   withdrawn by a rollback on" in chain.build().expect().output
    result = chain.playbook("playbooks/prune.yml", *inventory, "-e", "tier_keep_releases=1").expect()
    assert f"one  {images[0][:19]}  " in result.output
    with pytest.raises(docker.errors.ImageNotFound):
        podman.client.images.get(images[0])
    assert podman.client.images.get(images[2]).labels[labels.TIER] == "one"
    assert "there is nothing to remove" in chain.playbook("playbooks/prune.yml", *inventory).expect().output
