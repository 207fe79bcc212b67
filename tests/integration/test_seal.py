"""How the changes of a build container become a layer: hostile trees, new parents, other users, traces of a build."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import tarfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.containers import START_MARKER
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.images import Images
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import PODMAN
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.configuration import document
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer import (
    container_changes,
    overlay_changes,
    root_tar,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.cleaner import Cleaner, layer_entries
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import FileEntry
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.tar_writer import Layer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing import loading
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing.seal import ImageSpec, seal
from sdk_client import as_engine

from .conftest import DEMO, ROOT

EPOCH = 1_700_000_000
ACCESS_LIST = struct.pack(
    "<I" + "HHI" * 5, 2, 1, 6, 2**32 - 1, 2, 4, 1001, 4, 4, 2**32 - 1, 16, 4, 2**32 - 1, 32, 4, 2**32 - 1
)
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")

BUSY = "for each in 1 2 3; do (while :; do date >> /srv/$each; done) & done; wait"

HOSTILE = r"""
set -e
mkdir -p /srv/h/deep/er; cd /srv/h
truncate -s 5M sparse; echo end >> sparse
touch "$(head -c 255 /dev/zero | tr '\0' n)"
printf x > "$(printf 'bad\377name')"; echo nl > "$(printf 'new\nline')"; echo ' ' > ' '
echo one > z-link; ln z-link a-link; ln -s "$(head -c 200 /dev/zero | tr '\0' t)" symlink
mkfifo fifo; mknod device c 1 3; mknod block b 7 0
cp /bin/true setuid; chown 1234:4000000000 setuid; chmod 6755 setuid; cp /bin/true capable; mkdir -m 1777 sticky
ln /etc/passwd passwd                                     # another name for a file of the parent
rm -r /usr/share/doc/base-files; ln -s /tmp /usr/share/doc/base-files    # a folder swapped for a link
rm -r /usr/share/doc/apt; mkdir /usr/share/doc/apt; cp -a /usr/share/doc/tar/copyright /usr/share/doc/apt/
rm -r /etc/cron.d; echo file > /etc/cron.d                # a folder swapped for a file
rm /etc/pam.conf; mkdir /etc/pam.conf; echo x > /etc/pam.conf/inside     # and the other way round
rm /etc/issue; rm -r /usr/share/doc/tar
chmod 700 /etc/apt; chown 7 /etc/fstab; chmod 644 /etc/debian_version
touch /srv/gone; rm /srv/gone
"""


@pytest.fixture(scope="module")
def hostile_container(demo_base: Any, engine: Any) -> Iterator[Any]:
    """A container full of files that are hard to seal."""
    container = start_container(engine, demo_base.id, ["sleep", "600"])
    try:
        code, output = container.exec_run(["sh", "-c", HOSTILE])
        assert code == 0, output
        container.reload()
        yield container
    finally:
        container.remove(force=True)


def start_container(engine: Any, image: str, command: list[str]) -> Any:
    """Start a container that marks the time from which changes belong to the role, as build containers do."""
    words = ["sh", "-c", f': >{START_MARKER}; exec "$@"', "sh", *command]
    return engine.containers.run(image, words, detach=True, cap_add=["MKNOD"])


def upper_folder(container: Any) -> Path:
    """The folder with the changes of a container, from the engine or, if it does not report the folder, the kernel."""
    if driver := (container.attrs.get("GraphDriver") or {}).get("Data"):
        return Path(driver["UpperDir"])
    container.start()
    container.reload()
    mounts = Path("/proc", str(container.attrs["State"]["Pid"]), "mountinfo").read_text().splitlines()
    (options,) = (fields[-1] for fields in map(str.split, mounts) if fields[4] == "/")
    return Path(next(option for option in options.split(",") if option.startswith("upperdir=")).partition("=")[2])


def set_attributes(container: Any) -> None:
    """Set attributes that no tool in the base can set, and one that this kind of mount ignores."""
    os.setxattr(upper_folder(container) / "etc/apt", "user.overlay.opaque", b"y")
    os.setxattr(upper_folder(container) / "srv/h/capable", "security.capability", CAPABILITY)


def layer_bytes(engine: Any, container: Any) -> bytes:
    container.start()
    with container_changes.read(as_engine(engine), container.id) as source:
        return b"".join(Layer(layer_entries(source.changes, Cleaner("debian")), EPOCH).pieces())


@pytest.mark.once
def test_both_sources_of_changes_give_the_same_layer(engine, hostile_container, monkeypatch):
    set_attributes(hostile_container)
    with monkeypatch.context() as patched:
        patched.setattr(root_tar, "compare", None)
        direct = layer_bytes(engine, hostile_container)
    monkeypatch.setattr(overlay_changes, "sees_all_attributes", lambda: False)
    assert layer_bytes(engine, hostile_container) == direct
    with tarfile.open(fileobj=io.BytesIO(direct)) as layer:
        names = set(layer.getnames())
    whiteouts = {name for name in names if "/.wh." in f"/{name}"}
    doc = "usr/share/doc"
    assert {"etc/.wh.issue", f"{doc}/.wh.tar", f"{doc}/apt/.wh.changelog.gz"} <= whiteouts
    assert not any(name.endswith(".wh..wh..opq") for name in names)
    assert not {"etc/debian_version", "srv/gone"} & names  # one is unchanged, one was removed again


@pytest.mark.once
def test_a_folder_that_does_not_belong_to_the_container_is_not_used(engine, hostile_container, tmp_path, monkeypatch):
    if not (hostile_container.attrs.get("GraphDriver") or {}).get("Data"):
        pytest.skip("this engine does not report folders; the kernel does")
    expected = layer_bytes(engine, hostile_container)
    inspect = engine.api.inspect_container

    def elsewhere(container):
        settings = inspect(container)
        settings["GraphDriver"]["Data"]["UpperDir"] = str(tmp_path)
        return settings

    (tmp_path / "planted").write_text("by somebody else")
    monkeypatch.setattr(engine.api, "inspect_container", elsewhere)
    assert layer_bytes(engine, hostile_container) == expected


@pytest.mark.once
def test_mount_points_of_the_engine_are_not_in_the_layer(engine, demo_base):
    if as_engine(engine).kind == PODMAN:
        pytest.skip("Podman's mount points are in the stage image of a build, and this container has none")
    container = engine.containers.run(demo_base.id, ["sleep", "600"], detach=True, volumes=["/srv/volume"])
    try:
        container.exec_run(["touch", "/srv/volume/x", "/srv/file"])
        with container_changes.read(as_engine(engine), container.id) as source:
            assert {change.now.path for change in source.changes} == {b"srv", b"srv/file"}
    finally:
        container.remove(v=True, force=True)


def exported_entries(engine: Any, container: str) -> dict[bytes, FileEntry]:
    """All entries that an engine exports, without modification times."""
    entries = {entry.path: entry for entry in root_tar.tree(engine.api.export(container))}
    return {path: dataclasses.replace(entry, mtime=0) for path, entry in entries.items()}


@pytest.mark.once
def test_a_hostile_tree_is_sealed_without_a_difference(engine, hostile_container, demo_base):
    set_attributes(hostile_container)
    os.setxattr(upper_folder(hostile_container) / "srv/h/sticky", "system.posix_acl_default", ACCESS_LIST)
    tier = Tier("hostile", "operations", "twtest/hostile", "latest", parent="base", role="hostile")
    hostile_container.start()
    design = ImageSpec(
        tier, "role hostile", EPOCH, {}, {labels.FAMILY: "debian"}, as_engine(engine).images.get(demo_base.id)
    )
    image = seal(as_engine(engine), hostile_container.id, design)
    try:
        container = engine.containers.run(image.id, ["sleep", "600"], detach=True)
        try:
            before, after = exported_entries(engine, hostile_container.id), exported_entries(engine, container.id)
            container.reload()
            sticky = Path("/proc", str(container.attrs["State"]["Pid"]), "root/srv/h/sticky")
            assert os.getxattr(sticky, "system.posix_acl_default") == ACCESS_LIST
        finally:
            container.remove(force=True)
        assert after == before
        assert after[b"srv/h/capable"].attributes == ((b"security.capability", CAPABILITY),)
        assert after[b"srv/h/a-link"].inode == after[b"srv/h/z-link"].inode is not None
        hostile_container.start()
        again = seal(as_engine(engine), hostile_container.id, design)
        assert again.id == image.id
    finally:
        as_engine(engine).images.remove(image.id)
        os.removexattr(upper_folder(hostile_container) / "srv/h/sticky", "system.posix_acl_default")


@pytest.mark.once
def test_processes_cannot_write_while_a_layer_is_read_twice(engine, demo_base, monkeypatch):
    archives, load_archive = [], Images.load_archive

    def reject_the_first(images, archive, what):
        if not archives:
            archives.append(b"".join(archive))
            raise EngineError("some layers are missing")
        load_archive(images, archive, what)

    monkeypatch.setattr(Images, "load_archive", reject_the_first)
    tier = Tier("busy", "operations", "twtest/busy", "latest", parent="base", role="busy")
    container = start_container(engine, demo_base.id, ["sh", "-c", BUSY])
    sealed = []
    try:
        deadline = time.monotonic() + 60
        while container.exec_run(["test", "-s", "/srv/3"]).exit_code:
            assert time.monotonic() < deadline
        design = ImageSpec(
            tier, "role busy", EPOCH, {}, {labels.FAMILY: "debian"}, as_engine(engine).images.get(demo_base.id)
        )
        sealed.append(seal(as_engine(engine), container.id, design))
        assert len(archives) == 1
        container.reload()
        assert container.status == "exited"
        with tarfile.open(fileobj=io.BytesIO(archives[0])) as tar:
            files = [tar.extractfile(entry).read() for entry in tar if entry.isfile()]
        first_archive = {"sha256:" + hashlib.sha256(content).hexdigest(): content for content in files}
        with tarfile.open(fileobj=io.BytesIO(first_archive[sealed[0].layers[-1]])) as layer:
            assert {"srv/1", "srv/2", "srv/3"} <= set(layer.getnames())
    finally:
        container.remove(force=True)
        for image in sealed:
            as_engine(engine).images.remove(image.id)


@pytest.mark.once
def test_a_file_with_the_name_of_a_whiteout_is_rejected(small_chain):
    small_chain.tier("one", "- name: Write\n  ansible.builtin.command: touch /srv/.wh.file\n", parent="base")
    failed = small_chain.build().expect(2)
    assert "tier 'one': /srv/.wh.file cannot be in an image" in failed.message
    assert not small_chain.released("one")


FOLDER = """
- name: Make a folder
  ansible.builtin.file: {path: /opt/app, state: directory, mode: "0755"}
- name: Write into it
  ansible.builtin.copy: {content: "{{ inventory_hostname }}", dest: "/opt/app/{{ inventory_hostname }}", mode: "0644"}
"""


@pytest.mark.once
def test_files_of_a_new_parent_in_a_folder_of_the_child_stay(small_chain, engine, tmp_path):
    small_chain.tier("old", "- name: Change nothing\n  ansible.builtin.command: 'true'\n", parent="base")
    small_chain.tier("new", FOLDER, parent="base")
    small_chain.tier("child", FOLDER, parent="old")
    small_chain.build().expect()
    new, child = (as_engine(engine).images.get(f"{small_chain.name}/{tier}:latest") for tier in ("new", "child"))
    own = child.layers[-1]
    content = document(
        architecture=new.architecture,
        os="linux",
        config={"Labels": {labels.CHAIN: small_chain.name}},
        layers=(*new.layers, own),
        history=[],
        created="2000-01-01T00:00:00Z",
    )
    layer_files = loading.extract_layers(as_engine(engine).images.save(child.id), {own}, tmp_path)
    rebased = loading.load(as_engine(engine), content, loading.Layers((*new.layers, own), layer_files, new.id)).id
    try:
        container = engine.containers.create(rebased, ["-"])
        try:
            entries = exported_entries(engine, container.id)
        finally:
            container.remove()
        assert {b"opt/app/new", b"opt/app/child"} <= set(entries)
    finally:
        as_engine(engine).images.remove(rebased)


@pytest.mark.once
def test_a_forced_build_in_a_different_environment_gives_the_same_image(small_chain, engine, tmp_path, environment):
    """Two days later; in a different path, host, home, time zone and umask; without access to the engine's storage."""
    tasks = FOLDER + (
        "- name: Make an account\n  ansible.builtin.user: {name: app, uid: 1234, password_lock: true}\n"
        "- name: Install a package\n  ansible.builtin.apt: {name: hello, update_cache: true}\n"
        "- name: Leave traces\n  ansible.builtin.shell: |\n"
        "    ldconfig; date > /var/log/x.log; echo $SOURCE_DATE_EPOCH > /etc/epoch; rm -f /etc/machine-id\n"
        "    tr -dc a-f0-9 < /dev/urandom | head -c 32 > /etc/machine-id\n"
        "- name: Tell the date\n  ansible.builtin.command: date +it-is-%F\n"
    )
    small_chain.tier("one", tasks, parent="base").tier("two", FOLDER, parent="one")
    small_chain.build().expect()
    before = {tier: small_chain.image(tier) for tier in ("one", "two")}
    assert int(small_chain.run("one", "cat", "/etc/epoch")) == as_engine(engine).images.get(before["one"].id).created

    elsewhere = tmp_path / "another" / "place"
    shutil.copytree(small_chain.folder, elsewhere, ignore=shutil.ignore_patterns("another"))
    (tmp_path / "home").mkdir()
    command = (
        f"hostname another; umask 077; cd {elsewhere}; exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "
        f"ansible-playbook {ROOT}/build-chain.yml -i chain.yml -e tier_force=one,two -v"
    )
    variables = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "HOME": str(tmp_path / "home"),
        "LATE_CONTAINERS": "-one",
        "PYTHONPATH": str(Path(__file__).parent / "clock"),
        "TZ": "Pacific/Auckland",
    }
    process = subprocess.run(
        ["unshare", "--uts", "sh", "-c", command],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert "changed: [two]" in process.stdout
    assert f"it-is-{datetime.now(UTC) + timedelta(days=2):%F}" in process.stdout
    for tier, image in before.items():
        again = small_chain.image(tier)
        assert (again.labels, again.attrs["RootFS"]) == (image.labels, image.attrs["RootFS"])
        assert again.id == image.id


@pytest.mark.once
def test_a_tier_can_set_the_left_out_paths_and_the_time_of_its_layer(small_chain, engine):
    tasks = (
        "- name: Write\n  ansible.builtin.shell: |\n"
        "    mkdir -p /opt/cache; echo x > /opt/cache/file; echo x > /var/log/kept.log; echo x > /var/log/other.log\n"
    )
    small_chain.tier("one", tasks, parent="base", drop=["opt/cache/*"], keep=["var/log/kept.log"])
    small_chain.tiers["one"]["tier_source_date_epoch"] = EPOCH
    small_chain.build().expect()
    output = small_chain.run("one", "sh", "-c", "ls /opt/cache; wc -c /var/log/*.log; stat -c %Y /var/log/kept.log")
    assert output.split() == ["2", "/var/log/kept.log", "0", "/var/log/other.log", "2", "total", str(EPOCH)]
    assert as_engine(engine).images.get(small_chain.image("one").id).created == EPOCH
    assert small_chain.image("one").labels[labels.CREATED] == "2023-11-14T22:13:20Z"
    small_chain.tiers["one"]["tier_source_date_epoch"] = 0
    assert "tier 'one': tier_source_date_epoch is 0; expected seconds" in small_chain.build().expect(2).message


FIND_TRACES = r"""
cd /
find tmp var/tmp root/.ansible root/.cache -mindepth 1 2>/dev/null
find var/lib/apt/lists var/cache/apt -mindepth 1 ! -name partial ! -path var/cache/apt/archives
find var/log -type f -size +0
find . -xdev \( -name '*.ansible*' -o -name '*.pyc' -o -name '__pycache__' -o -name 'ssh_host_*_key' \)
find etc var usr -xdev -type f \( -name '*.key' -o -name 'aux-cache' -o -name 'passwd-' -o -name '.pwd.lock' \)
grep -rlE -e '^-----BEGIN ([A-Z]+ )?PRIVATE KEY' etc root var home srv opt 2>/dev/null
test ! -s etc/machine-id || echo etc/machine-id
"""


@pytest.mark.parametrize("tier", DEMO)
def test_images_of_the_demo_have_no_traces_of_the_build(demo, engine, tier):
    command = ["-c", FIND_TRACES + ("ls usr/bin/python3* 2>/dev/null; " if tier == "wordpress" else "") + "true"]
    container = engine.containers.run(
        demo[tier].id, command, entrypoint="/bin/sh", user="0", detach=True, network_mode="none"
    )
    try:
        assert container.wait(timeout=120)["StatusCode"] == 0
        assert container.logs().decode() == ""
    finally:
        container.remove(v=True, force=True)


def test_images_of_the_demo_record_their_owner_and_time(demo, engine):
    image = demo["wordpress"]
    parent = demo["httpd-php"]
    # The parent was never pushed, so it has no digest that the OCI specification accepts as the digest of a base.
    assert not {labels.BASE_NAME, labels.BASE_DIGEST} & set(image.labels)
    assert image.labels[labels.PARENT] == parent.id
    assert image.attrs["Author"] == image.labels[labels.VENDOR] == "development"
    assert image.attrs["Created"] == image.labels[labels.CREATED]
    assert as_engine(engine).images.get(image.id).created >= as_engine(engine).images.get(parent.id).created
    assert len(image.history()) == 4  # base, corebuild, httpd-php and its own layer
    config = json.dumps([image.attrs["Config"], image.history()])
    assert not any(word in config for word in ("SOURCE_DATE_EPOCH", "noninteractive", str(ROOT)))
