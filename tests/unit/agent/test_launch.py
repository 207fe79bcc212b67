from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import launch
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.local_files import is_locked

LOCAL = "unix:///var/run/docker.sock"
LONG = "a-long-name" * 20


@pytest.fixture
def runtime(monkeypatch):
    """The runtime folder of a user, with a path as short as usual."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def test_a_container_always_has_the_same_folder(runtime):
    assert launch.agent_folder(LOCAL, "it") == launch.agent_folder(LOCAL, "it")
    assert launch.agent_folder(LOCAL, "it").parent == runtime / "tierwright"


def test_each_container_of_each_engine_has_its_own_folder(runtime):
    folders = {
        launch.agent_folder(*container)
        for container in [(LOCAL, "a"), (LOCAL, "b"), ("tcp://x:1", "a"), (LOCAL + "\0", "a"), (LOCAL, "")]
    }
    assert len(folders) == 5
    assert {folder.parent for folder in folders} == {runtime / "tierwright"}


def test_looking_up_the_folder_does_not_create_it(runtime):
    launch.agent_folder(LOCAL, "it")
    assert list(runtime.iterdir()) == []


def test_the_folder_is_private_and_created_once(runtime):
    folder = launch.make_agent_folder(LOCAL, "it")
    (folder / "kept").touch()
    assert launch.make_agent_folder(LOCAL, "it") == folder == launch.agent_folder(LOCAL, "it")
    assert (folder / "kept").exists()
    for path in (folder, folder.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert folder.is_relative_to(runtime)


def test_the_folder_of_a_removed_container_is_removed(runtime):
    folder = launch.make_agent_folder(LOCAL, "it")
    (folder / "lock").touch()
    for _ in range(2):
        launch.remove_agent_folder(LOCAL, "it")
        assert not folder.exists()
    assert list(runtime.iterdir()) == [folder.parent]


@pytest.mark.parametrize("whose", ["its own", "that of all"])
@pytest.mark.parametrize("mode", [0o770, 0o701, 0o755, 0o1777])
def test_a_folder_that_other_users_can_open_is_rejected(runtime, whose, mode):
    folder = launch.make_agent_folder(LOCAL, "it")
    exposed = folder if whose == "its own" else runtime / "tierwright"
    exposed.chmod(mode)
    with pytest.raises(EngineError) as raised:
        launch.make_agent_folder(LOCAL, "it")
    mode_text = stat.filemode(stat.S_IFDIR | mode)
    assert f"{exposed} is not a folder that only user {os.getuid()} may read" in str(raised.value)
    assert f"(owner {os.getuid()}, mode {mode_text}); a different user or program made it: remove it" in str(
        raised.value
    )


@pytest.mark.usefixtures("runtime")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can make what is somebody else's")
def test_a_folder_of_a_different_user_is_rejected():
    os.chown(launch.make_agent_folder(LOCAL, "it"), 4711, 4711)
    with pytest.raises(EngineError, match=r"\(owner 4711, mode drwx------\)"):
        launch.make_agent_folder(LOCAL, "it")


@pytest.mark.parametrize("target", ["a folder", "nothing"])
@pytest.mark.parametrize("whose", ["its own", "that of all"])
def test_a_symbolic_link_is_rejected(runtime, tmp_path, whose, target):
    link = launch.agent_folder(LOCAL, "it") if whose == "its own" else runtime / "tierwright"
    link.parent.mkdir(mode=0o700, exist_ok=True)
    (tmp_path / "there").mkdir(mode=0o700)
    link.symlink_to(tmp_path / ("there" if target == "a folder" else "not there"))
    with pytest.raises(EngineError, match="mode lrwxrwxrwx"):
        launch.make_agent_folder(LOCAL, "it")
    assert list((tmp_path / "there").iterdir()) == []
    assert not (tmp_path / "not there").exists()


def test_a_file_in_place_of_the_folder_is_rejected(runtime):
    (runtime / "tierwright").touch(mode=0o600)
    with pytest.raises(EngineError, match="mode -rw-------"):
        launch.make_agent_folder(LOCAL, "it")


def test_a_folder_that_cannot_be_created_is_named(runtime, monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(EngineError, match=rf"making {runtime}/tierwright: Permission denied; .*XDG_RUNTIME_DIR"):
        launch.make_agent_folder(LOCAL, "it")


@pytest.mark.parametrize("variable", ["nothing", "the runtime folder", "the temporary folder", "both"])
def test_the_path_of_a_socket_is_always_short_enough(tmp_path, monkeypatch, variable):
    long_folder = tmp_path / LONG
    long_folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long_folder) if variable in {"the runtime folder", "both"} else "")
    if variable in {"the temporary folder", "both"}:
        monkeypatch.setattr(tempfile, "tempdir", str(long_folder))
    path = launch.agent_folder(LOCAL, LONG) / launch.socket_name(4_194_304)
    assert len(os.fsencode(path)) <= 107
    assert not path.is_relative_to(long_folder)


def test_a_missing_runtime_folder_is_ignored(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/no/such/folder")
    assert launch.agent_folder(LOCAL, "it").parent.name == f"tierwright-{os.getuid()}"


@pytest.mark.usefixtures("runtime")
def test_the_folder_is_mounted_into_a_local_container():
    (mount,) = launch.agent_mount(LOCAL, "it")
    assert (mount["Type"], mount["Target"], mount["ReadOnly"]) == ("bind", "/dev/tierwright-agent", True)
    assert mount["Source"] == str(launch.agent_folder(LOCAL, "it"))
    assert Path(mount["Source"]).is_dir()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:2375", "ssh://root@host", "http+docker://ssh"])
def test_the_folder_is_not_mounted_into_a_remote_container(runtime, address):
    assert launch.agent_mount(address, "it") == []
    assert list(runtime.iterdir()) == []


@pytest.mark.timeout(10)
def test_a_container_that_locks_its_files_does_not_block_tasks(runtime, monkeypatch):
    folder = launch.make_agent_folder(LOCAL, "it")
    (folder / "lock").touch()
    connections = iter([None, None, "a connection"])
    monkeypatch.setattr(launch, "_connect", lambda _path: next(connections))
    monkeypatch.setattr(launch, "_start_keeper", lambda *_: "its own socket")
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert launch.attach(LOCAL, "it", "auto", print) == "a connection"
    launch.remove_agent_folder(LOCAL, "it")
    assert list((runtime / "tierwright").iterdir()) == []


KEEPER = """
import contextlib, os, sys
with contextlib.suppress(OSError):  # nobody listens if the container did not start
    os.write(1, sys.argv[1].encode())
os.close(1)
open(sys.argv[2], "w").write(f"{len(sys.stdin.buffer.read())} bytes")
"""


@pytest.fixture
def heard(runtime, monkeypatch):
    """A function that runs a program in place of the keeper. Its result reads what that program was told."""

    def replace_keeper(says):
        file = runtime / "heard"
        command = [sys.executable, "-c", KEEPER, says, str(file)]
        monkeypatch.setattr(launch, "_keeper_command", lambda *_: command)
        return file.read_text

    return replace_keeper


@pytest.mark.parametrize(("says", "told"), [("locked", "1 bytes"), ("", "0 bytes")])
def test_a_keeper_that_holds_the_lock_is_told_that_the_container_runs(heard, says, told):
    hear = heard(says)
    with launch.agent_ahead(LOCAL, "it", "auto"):
        assert launch.agent_folder(LOCAL, "it").is_dir()
    assert hear() == told


def test_a_keeper_is_not_told_about_a_container_that_did_not_start(heard):
    hear = heard("locked")
    with pytest.raises(EngineError, match="no such image"), launch.agent_ahead(LOCAL, "it", "auto"):
        raise EngineError("no such image")
    assert hear() == "0 bytes"


@pytest.mark.usefixtures("runtime")
def test_a_keeper_that_cannot_start_is_no_error(monkeypatch):
    monkeypatch.setattr(launch, "_keeper_command", lambda *_: ["/bin/false"])
    with launch.agent_ahead(LOCAL, "it", "auto"):
        pass


@pytest.mark.parametrize("told", [b"", b"\0"])
def test_a_keeper_holds_the_lock_until_it_has_started_the_agent_or_cannot(runtime, monkeypatch, told):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{runtime}/no-engine.sock")
    launch.make_agent_folder(f"unix://{runtime}/no-engine.sock", "it")
    lock = launch.agent_lock(LOCAL, "it")
    command = [*launch._keeper_command("it", os.getpid(), "auto"), str(lock)]
    with subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout.read(1) == b"\0"
        assert is_locked(lock)
        keeper.stdin.write(told)
    deadline = time.monotonic() + 20
    while is_locked(lock) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_locked(lock)
