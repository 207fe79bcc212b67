"""The role `watcher`: as a tier of the demo chain, whose image watches, and on a machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import secrets
import shutil
import subprocess
import sys
import time

import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from engines.roots import cache
from fake_registry import fake_registry
from published_images import publish, tier_layer

from .conftest import BIN, ROOT
from .removal import remove_images

pytestmark = [pytest.mark.once, pytest.mark.sampled("sites")]

LOCKS = [ROOT / "requirements/pip.txt", ROOT / "roles/watcher/files/requirements.txt"]
#: An arbitrary user, as in OpenShift, and the rights of the container in the README of the role.
FEW_RIGHTS = {
    "user": "12345:0",
    "read_only": True,
    "tmpfs": {"/tmp": ""},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "network_mode": "host",
}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The folder that `make wheels` fills. What is downloaded is kept for later sessions."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in LOCKS)).hexdigest()[:16]
    kept = cache().parent / f"wheels-{sys.version_info.major}.{sys.version_info.minor}-{platform.machine()}-{digest}"
    if not kept.exists():
        partial = kept.with_name(f"{kept.name}.{os.getpid()}")
        options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", partial]
        files = [f"--requirement={path}" for path in LOCKS]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, *files], check=True, cwd=ROOT)
        with contextlib.suppress(OSError):  # another session was faster
            partial.rename(kept)
    folder = tmp_path_factory.mktemp("wheels") / "wheels"
    shutil.copytree(kept, folder)
    command = [BIN / "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def image(wheels, playbook, engine, tmp_path_factory):
    """The image of the tier that inventories/watcher adds to the demo chain, under its own name, after its tests."""
    name = f"twtest-{secrets.token_hex(4)}"
    own = {"watcher_wheels": str(wheels), "tier_image": f"{name}/watcher"}
    overlay = tmp_path_factory.mktemp("overlay") / "overlay.yml"
    overlay.write_text(yaml.safe_dump({"tiers": {"vars": {"tier_chain": name}, "hosts": {"watcher": own}}}))
    playbook("build-chain.yml", "--limit", "base,corebuild").expect()  # the demo's
    inventories = ("inventories/wordpress/chain.yml", "inventories/watcher/chain.yml", str(overlay))
    options = [option for inventory in inventories for option in ("-i", inventory)]
    try:
        playbook("build-chain.yml", *options, "--limit", "watcher").expect()
        yield engine.images.get(f"{name}/watcher:latest")
    finally:
        remove_images(engine, f"label={labels.CHAIN}={name}", keep="corebuild")
        for claim in engine.volumes.list(filters={"label": f"{labels.CHAIN}={name}"}):
            claim.remove()


@pytest.fixture(scope="module")
def project(tmp_path_factory, environment):
    """A project that follows the core build of another team, and has locked its newest release."""
    folder = tmp_path_factory.mktemp("project")
    folder.chmod(0o755)
    with fake_registry() as registry:
        publish(registry, "operations/corebuild", "stable", [tier_layer(1)])
        follow = {"tier_follow": {"image": f"{registry.host}/operations/corebuild", "tag": "stable"}}
        hosts = {"corebuild": follow, "web": {"tier_parent": "corebuild", "tier_role": "web"}}
        tiers = {"vars": {"tier_chain": "shop", "watch_follow": True}, "children": {"team": {"hosts": hosts}}}
        (folder / "inventory.yml").write_text(yaml.safe_dump({"tiers": tiers}))
        (folder / "roles/web/tasks").mkdir(parents=True)
        (folder / "roles/web/tasks/main.yml").write_text("- ansible.builtin.raw: touch /etc/web\n")
        command = [BIN / "tierwright", "update", "-i", "inventory.yml"]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield folder


@pytest.fixture
def start(engine, image, project):
    """A function that starts the image with few rights, and with the project, which it can only read."""
    containers = []

    def start(*command, **options):
        mounts = {str(project): {"bind": "/srv/tierwright", "mode": "ro"}}
        arguments = {**FEW_RIGHTS, "volumes": mounts, **options}
        container = engine.containers.run(image.id, list(command) or None, detach=True, **arguments)
        containers.append(container)
        return container

    yield start
    for container in containers:
        container.remove(v=True, force=True)


def wait_until(container, condition):
    deadline = time.monotonic() + 60
    while not condition():
        container.reload()
        assert container.status == "running", container.logs().decode()
        assert time.monotonic() < deadline, container.logs().decode()
        time.sleep(0.2)


def test_one_comparison_finds_nothing_to_do(start):
    container = start("tierwright", "watch", "-i", "inventory.yml", "--once")
    assert container.wait(timeout=60)["StatusCode"] == 0, container.logs().decode()


def test_the_watcher_becomes_healthy_and_ends_when_it_is_stopped(start):
    container = start()
    wait_until(container, lambda: container.exec_run(["watcher-healthcheck"]).exit_code == 0)
    began = time.monotonic()
    container.stop(timeout=30)
    assert time.monotonic() - began < 10
    container.reload()
    assert container.attrs["State"]["ExitCode"] == 0, container.logs().decode()


def test_the_image_has_no_pip_and_no_wheels(start):
    script = r"! find / -xdev \( -name pip -o -name 'pip-*' -o -name '*.whl' \) -print 2>/dev/null | grep ."
    container = start("sh", "-c", script)
    assert container.wait(timeout=60)["StatusCode"] == 0, container.logs().decode()


def test_the_role_installs_a_service_on_a_machine(wheels, playbook, python_image, engine, tmp_path):
    """The machine is a container with Python, without systemd. A unit test checks the unit itself."""
    machine = engine.containers.run(python_image, ["sleep", "1800"], detach=True, remove=True)
    try:
        for command in (["mkdir", "/srv/tierwright"], ["touch", "/srv/tierwright/inventory.yml"]):
            assert machine.exec_run(command).exit_code == 0
        variables = {"watcher_container_layout": False, "watcher_manage_service": False, "watcher_wheels": str(wheels)}
        role = {"role": "tierwright.chain.watcher", "vars": variables}
        (tmp_path / "site.yml").write_text(yaml.safe_dump([{"name": "Watch", "hosts": "all", "roles": [role]}]))
        host = {
            "ansible_connection": "tierwright.chain.tier",
            "ansible_python_interpreter": "/usr/bin/python3",
            "tier_container": machine.id,
        }
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"machine": host}}}))
        for expected in ("failed=0", "changed=0"):
            run = playbook(str(tmp_path / "site.yml"), "-i", str(tmp_path / "hosts.yml")).expect()
            assert expected in run.output, run.output
        script = (
            "cat /etc/systemd/system/tierwright-watch.service && su -s /bin/sh tierwright -c 'tierwright --version'"
        )
        code, output = machine.exec_run(["sh", "-c", script])
        assert code == 0, output
        assert b"User=tierwright" in output
        assert b"tierwright, version" in output
    finally:
        machine.kill()
