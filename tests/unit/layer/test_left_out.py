"""Paths of a role that a layer does not contain: they are rejected, or reported by name."""

from __future__ import annotations

import os
from dataclasses import replace

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import (
    ContainerInfo,
    parse_nanoseconds,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import SealError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer import build_memory, build_references, mounts
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.build_memory import Task, Timeline
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.cleaner import Cleaner, layer_entries
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import (
    FileEntry,
    FileKind,
    PathChange,
)
from fake_engine import FakeEngine
from fake_engine.world import Node

LAYER = "sha256:" + "a" * 64
TASK = Task("web", "Set it up", "web/tasks/main.yml:3")
TIMELINE = Timeline([(100, Task(None, "Gather facts", None)), (200, TASK)])
PYTHON = b"/dev/tierwright-python/bin/python3"


def file(path, content=b"x", mode=0o644, changed=250):
    return FileEntry(path, FileKind.FILE, mode, 0, 0, 1, len(content), content=content, changed=changed)


def link(path, target):
    return FileEntry(path, FileKind.SYMLINK, 0o777, 0, 0, 1, target=target, changed=250)


def seal(*entries, before=(), **patterns):
    """Return the paths in the layer, and the lines about the paths that are left out."""
    cleaner = Cleaner("debian", **patterns)
    previous = {entry.path: entry for entry in before}
    in_layer = layer_entries([PathChange(entry, previous.get(entry.path)) for entry in entries], cleaner)
    references = build_references.find(in_layer)
    build_references.check(references, TIMELINE, cleaner.keeps)
    absent = {path.entry.path for path in cleaner.left_out}
    lines = build_memory.left_out_lines(cleaner.left_out, TIMELINE, build_references.referring(references, absent))
    return {entry.path for entry in in_layer}, list(lines)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (b"root/.ansible_async/j123.4", b'{"secret": 1}'),
        (b"home/app/.ansible_async/j123.4.tmp", b""),
        (b"srv/jobs/j999999999998.4711", b'{"secret": 1}'),
        (b"j0.1", b' {"started": true, "finished": false}'),
    ],
)
def test_results_of_asynchronous_tasks_are_always_left_out(path, content):
    paths, lines = seal(file(path, content), keep=["**", path.decode()])
    assert paths == set()
    assert lines == ["left out: 1 file that any build leaves behind (docs/sealing.md)"]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (b"srv/j123.4", b"text"),
        (b"srv/j123.4", b""),
        (b"srv/jx.4", b"{}"),
        (b"srv/j12.json", b"{}"),
        (b"srv/ansible_async/x", b"{}"),
    ],
)
def test_a_file_that_only_resembles_a_result_is_kept(path, content):
    assert seal(file(path, content)) == ({path}, [])


def test_files_that_may_be_missed_are_reported_with_their_task():
    temporary = [file(b"tmp/%d" % number, changed=150) for number in range(4)]
    logs = [file(b"var/log/a.log"), file(b"var/log/lastlog"), file(b"var/log/empty", b"")]
    paths, lines = seal(*temporary, file(b"root/.cache/x\n"), *logs, file(b"opt/x"), drop=["opt/*"])
    assert paths == {log.path for log in logs}
    task = "by task 'Set it up' (web/tasks/main.yml:3)"
    advice = "put files that the image needs elsewhere, or name them in tier_keep"
    assert sorted(lines) == [
        "left out: /opt/x " + task + " (named by tier_drop); remove it from the tier's tier_drop to keep it",
        "left out: /root/.cache/x\\n " + task + " (caches of programs in a home directory); "
        "name files that the image needs in tier_keep",
        "left out: /tmp/0, /tmp/1, /tmp/2 and 1 more (temporary files); " + advice,
        "left out: /var/log/a.log " + task + " (content of logs); " + advice,
        "left out: 1 file that any build leaves behind (docs/sealing.md)",
    ]


@pytest.mark.parametrize(
    "referrer",
    [
        link(b"opt/app/tool", b"/tmp/9"),
        link(b"opt/app/tool", b"../../tmp/9"),
        file(b"etc/app.conf", b"home = /tmp/9\n"),
        file(b"srv/app.service", b"ExecStart=/tmp/9 --run\n"),
        file(b"srv/run", b"#!/bin/sh\nexec '/tmp/9'\n", mode=0o755),
    ],
)
def test_a_left_out_file_with_a_reference_to_it_is_reported_first(referrer):
    paths, lines = seal(*(file(b"tmp/%d" % number) for number in range(10)), referrer)
    assert paths == {referrer.path}
    assert lines[0].startswith("left out: /tmp/9 by task 'Set it up' (web/tasks/main.yml:3), to which ")
    assert f"to which /{referrer.path.decode()} refers, /tmp/0" in lines[0]


def test_a_left_out_folder_is_reported_if_something_refers_to_it():
    folders = [FileEntry(b"tmp/" + name, FileKind.DIRECTORY, 0o755, 0, 0, 1) for name in (b"a", b"b")]
    paths, lines = seal(*folders, link(b"srv/a", b"/tmp/a"), link(b"srv/tmp", b"/tmp"))
    assert paths == {b"srv/a", b"srv/tmp"}
    assert [line.partition(" (")[0] for line in lines] == ["left out: /tmp/a, to which /srv/a refers"]


def test_user_attributes_are_reported_once():
    before = replace(file(b"srv/old"), foreign=(b"user.old",))
    new = [replace(file(path), foreign=(b"user.x",)) for path in (b"srv/new", b"etc/same")]
    paths, lines = seal(before, *new, before=[before, file(b"etc/same")])
    assert paths == {b"srv/new"}
    assert lines[0].startswith("left out: /etc/same by task 'Set it up' (web/tasks/main.yml:3), /srv/new by task ")
    assert "extended attributes of users" in lines[0]


def test_a_socket_is_reported_and_the_file_that_it_replaced_is_removed():
    before = file(b"run/app.sock")
    paths, lines = seal(FileEntry(before.path, FileKind.SOCKET, 0o755, 0, 0, 1), before=[before])
    assert paths == {b"run/.wh.app.sock"}
    assert lines[0].startswith("left out: /run/app.sock (a layer cannot contain sockets); ")


@pytest.mark.parametrize(
    "entry",
    [
        file(b"usr/local/bin/tool", b"#!" + PYTHON + b"\nimport sys\n", mode=0o755),
        file(b"opt/app/bin/pip", b"#!/bin/sh\n'''exec' \"" + PYTHON + b"\" \"$0\"\n' '''\n", mode=0o755),
        file(b"opt/app/pyvenv.cfg", b"home = /dev/tierwright-python/bin\n"),
        file(b"etc/cron.d/app", b"* * * * * root " + PYTHON + b" /opt/app.py\n"),
        file(b"var/spool/cron/crontabs/root", b"* * * * * " + PYTHON + b" /opt/app.py\n"),
        file(b"opt/app/config.yml", b"python: " + PYTHON + b"\n"),
        file(b"lib/systemd/system/app.service", b"ExecStart=" + PYTHON + b" /opt/app.py\n"),
        link(b"opt/app/bin/python3", PYTHON),
        link(b"opt/x", b"../dev/tierwright/ansible-tmp-1/x"),
    ],
)
def test_a_reference_to_the_mounted_python_is_rejected(entry):
    with pytest.raises(SealError) as failure:
        seal(entry, file(b"srv/other"))
    assert str(failure.value).startswith(f"/{entry.path.decode()} ")
    assert "made by task 'Set it up' (web/tasks/main.yml:3): this path exists only while the tier is built" in str(
        failure.value
    )
    assert "tier_python_interpreter" in str(failure.value)
    assert seal(entry, keep=[entry.path.decode()])[0] == {entry.path}
    assert seal(entry, drop=[entry.path.decode()])[0] == set()


def test_files_that_do_not_run_the_mounted_python_are_accepted():
    entries = [
        file(b"usr/bin/tool", b"\x7fELF\0" + PYTHON, mode=0o755),
        file(b"usr/share/doc/x", PYTHON),
        file(b"usr/bin/run", b"#!/usr/bin/python3\n", mode=0o755),
        link(b"var/log/app.log", b"/dev/stdout"),
    ]
    assert seal(*entries) == ({entry.path for entry in entries}, [])


def running_container(started):
    return ContainerInfo("c", "image", {}, running=True, pid=1, started=started, mounts=(), overlay=None)


def container(root, started="2026-11-29T00:00:00.5Z"):
    files = dict.fromkeys(("hosts", "hostname", "resolv.conf"), 1_795_910_400)
    (root / "etc").mkdir()
    (root / "dev/shm").mkdir(parents=True)
    for name, moment in files.items():
        (root / "etc" / name).write_text("x")
        os.utime(root / "etc" / name, ns=(0, moment * 10**9 + 400_000_000))
    return running_container(parse_nanoseconds(started))


def test_files_of_the_engine_are_reported_if_they_were_written(tmp_path):
    container_info = container(tmp_path)
    assert mounts.find_writes(None, container_info, tmp_path) == []
    os.utime(tmp_path / "etc/hosts", ns=(0, 1_795_910_400 * 10**9 + 500_000_001))
    for name in ("null", "tierwright-agent", "own"):
        (tmp_path / "dev" / name).touch()
    (tmp_path / "dev/shm/mine").touch()
    paths = [entry.path for entry in mounts.find_writes(None, container_info, tmp_path)]
    assert paths == [b"etc/hosts", b"dev/own", b"dev/shm/mine"]


def test_files_that_the_engine_wrote_itself_are_not_reported(tmp_path):
    """Docker 26 and later writes its files after the time that it reports as the start of the container."""
    container_info = container(tmp_path, "2026-11-29T00:00:00.3Z")
    assert len(mounts.find_writes(None, container_info, tmp_path)) == 3
    (tmp_path / "dev/tierwright-begun").touch()
    os.utime(tmp_path / "dev/tierwright-begun", ns=(0, 1_795_910_400 * 10**9 + 400_000_000))
    assert mounts.find_writes(None, container_info, tmp_path) == []


def test_a_remote_engine_is_asked_when_files_were_written():
    times = {"/etc/hosts": "2026-11-29T00:00:01Z", "/etc/hostname": "2026-11-29T00:00:00.499999999Z"}

    engine = FakeEngine()
    engine.world.add_container("c", {}).files = {
        path: Node(b"", changed=parse_nanoseconds(time)) for path, time in times.items()
    }
    container_info = running_container(parse_nanoseconds("2026-11-29T00:00:00.5Z"))
    assert [entry.path for entry in mounts.find_writes(engine, container_info, None)] == [b"etc/hosts"]


def test_a_change_of_a_mounted_file_is_rejected_unless_it_is_dropped():
    hosts, device = file(b"etc/hosts"), file(b"dev/own")
    with pytest.raises(SealError, match=r"changed /etc/hosts by task 'Set it up'.*tier_drop: \[etc/hosts\]"):
        mounts.check_mounts([hosts], Cleaner("debian"), TIMELINE)
    cleaner = Cleaner("debian", drop=["/etc/hosts"])
    mounts.check_mounts([hosts, device], cleaner, TIMELINE)
    lines = list(build_memory.left_out_lines(cleaner.left_out, TIMELINE))
    assert lines[0].startswith("left out: /dev/own by task 'Set it up' (web/tasks/main.yml:3) (every container gets")
    assert lines[1].startswith("left out: /etc/hosts by task 'Set it up' (web/tasks/main.yml:3) (every container has")


@pytest.mark.parametrize(
    ("keep", "rejected"),
    [("/var/cache/apt", True), ("var/cache/apt/archives/*", True), ("var/cache/apt2", False), ("var/**", False)],
)
def test_paths_on_a_volume_of_the_build_cannot_be_kept(tmp_path, keep, rejected):
    volumes = ("/var/cache/apt", "/dev/tierwright-python")
    writes = mounts.find_writes(None, msgspec.structs.replace(container(tmp_path), mounts=volumes), tmp_path)
    assert [entry.path for entry in writes] == [b"var/cache/apt"]
    cleaner = Cleaner("debian", keep=[keep])
    if rejected:
        with pytest.raises(SealError, match="tier_keep names /var/cache/apt or a path in it"):
            mounts.check_mounts(writes, cleaner, TIMELINE)
    else:
        mounts.check_mounts(writes, cleaner, TIMELINE)
    assert cleaner.left_out == []


def test_left_out_lines_of_a_layer_are_remembered(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    build_memory.remember_left_out(LAYER, [])
    assert build_memory.recall_left_out(LAYER) == []
    build_memory.remember_left_out(LAYER, ["left out: /tmp/x"])
    assert build_memory.recall_left_out(LAYER) == ["left out: /tmp/x"]
    [path] = (tmp_path / "tierwright/+layers").iterdir()
    path.write_bytes(b"damaged")
    assert build_memory.recall_left_out(LAYER) == []
