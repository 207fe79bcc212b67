from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import launch
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError

HERE = "unix:///var/run/docker.sock"
LONG = "a-long-name" * 20


@pytest.fixture
def runtime(monkeypatch):
    """A folder that a user's programs may use, with a path as short as usual."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def test_a_container_has_the_same_folder_each_time(runtime):
    assert launch.agent_folder(HERE, "it") == launch.agent_folder(HERE, "it")
    assert launch.agent_folder(HERE, "it").parent == runtime / "tierwright"


def test_each_container_of_each_engine_has_another(runtime):
    folders = {
        launch.agent_folder(*of)
        for of in [(HERE, "a"), (HERE, "b"), ("tcp://x:1", "a"), (HERE + "\0", "a"), (HERE, "")]
    }
    assert len(folders) == 5
    assert {each.parent for each in folders} == {runtime / "tierwright"}


def test_looking_for_a_folder_makes_none(runtime):
    launch.agent_folder(HERE, "it")
    assert list(runtime.iterdir()) == []


def test_a_folder_is_private_and_made_once(runtime):
    made = launch.make_agent_folder(HERE, "it")
    (made / "kept").touch()
    assert launch.make_agent_folder(HERE, "it") == made == launch.agent_folder(HERE, "it")
    assert (made / "kept").exists()
    for each in (made, made.parent):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700
    assert made.is_relative_to(runtime)


def test_a_folder_of_a_container_that_is_gone_is_removed(runtime):
    made = launch.make_agent_folder(HERE, "it")
    (made / "lock").touch()
    for _ in range(2):
        launch.remove_agent_folder(HERE, "it")
        assert not made.exists()
    assert list(runtime.iterdir()) == [made.parent]


@pytest.mark.parametrize("whose", ["its own", "that of all"])
@pytest.mark.parametrize("mode", [0o770, 0o701, 0o755, 0o1777])
def test_a_folder_that_others_may_enter_is_refused(runtime, whose, mode):
    made = launch.make_agent_folder(HERE, "it")
    opened = made if whose == "its own" else runtime / "tierwright"
    opened.chmod(mode)
    with pytest.raises(EngineError) as raised:
        launch.make_agent_folder(HERE, "it")
    shown = stat.filemode(stat.S_IFDIR | mode)
    assert f"{opened} is not a folder that only user {os.getuid()} may read" in str(raised.value)
    assert f"(owner {os.getuid()}, mode {shown}); a different user or program made it: remove it" in str(raised.value)


@pytest.mark.usefixtures("runtime")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can make what is somebody else's")
def test_a_folder_of_somebody_else_is_refused():
    os.chown(launch.make_agent_folder(HERE, "it"), 4711, 4711)
    with pytest.raises(EngineError, match=r"\(owner 4711, mode drwx------\)"):
        launch.make_agent_folder(HERE, "it")


@pytest.mark.parametrize("target", ["a folder", "nothing"])
@pytest.mark.parametrize("whose", ["its own", "that of all"])
def test_a_link_is_refused(runtime, tmp_path, whose, target):
    wanted = launch.agent_folder(HERE, "it") if whose == "its own" else runtime / "tierwright"
    wanted.parent.mkdir(mode=0o700, exist_ok=True)
    (tmp_path / "there").mkdir(mode=0o700)
    wanted.symlink_to(tmp_path / ("there" if target == "a folder" else "not there"))
    with pytest.raises(EngineError, match="mode lrwxrwxrwx"):
        launch.make_agent_folder(HERE, "it")
    assert list((tmp_path / "there").iterdir()) == []
    assert not (tmp_path / "not there").exists()


def test_a_file_in_its_place_is_refused(runtime):
    (runtime / "tierwright").touch(mode=0o600)
    with pytest.raises(EngineError, match="mode -rw-------"):
        launch.make_agent_folder(HERE, "it")


def test_a_folder_that_cannot_be_made_is_named(runtime, monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(EngineError, match=rf"making {runtime}/tierwright: Permission denied; .*XDG_RUNTIME_DIR"):
        launch.make_agent_folder(HERE, "it")


@pytest.mark.parametrize("variable", ["nothing", "the runtime folder", "the temporary folder", "both"])
def test_a_socket_s_path_is_short_enough_wherever_folders_are(tmp_path, monkeypatch, variable):
    far = tmp_path / LONG
    far.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(far) if variable in {"the runtime folder", "both"} else "")
    if variable in {"the temporary folder", "both"}:
        monkeypatch.setattr(tempfile, "tempdir", str(far))
    path = launch.agent_folder(HERE, LONG) / launch.socket_name(4_194_304)
    assert len(os.fsencode(path)) <= 107
    assert not path.is_relative_to(far)


def test_a_runtime_folder_that_does_not_exist_is_passed_over(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/no/such/folder")
    assert launch.agent_folder(HERE, "it").parent.name == f"tierwright-{os.getuid()}"


@pytest.mark.usefixtures("runtime")
def test_a_container_here_has_the_folder_mounted():
    (mount,) = launch.agent_mount(HERE, "it")
    assert (mount["Type"], mount["Target"], mount["ReadOnly"]) == ("bind", "/dev/tierwright-agent", True)
    assert mount["Source"] == str(launch.agent_folder(HERE, "it"))
    assert Path(mount["Source"]).is_dir()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:2375", "ssh://root@host", "http+docker://ssh"])
def test_a_container_elsewhere_has_not(runtime, address):
    assert launch.agent_mount(address, "it") == []
    assert list(runtime.iterdir()) == []


@pytest.mark.timeout(10)
def test_a_container_that_locks_all_it_sees_keeps_no_task_waiting(runtime, monkeypatch):
    mounted = launch.make_agent_folder(HERE, "it")
    (mounted / "lock").touch()
    found = iter([None, None, "a connection"])
    monkeypatch.setattr(launch, "_connect", lambda _path: next(found))
    monkeypatch.setattr(launch, "_start_keeper", lambda *_: "its own socket")
    with (mounted / "lock").open() as seen:
        fcntl.flock(seen, fcntl.LOCK_EX)
        assert launch.attach(HERE, "it", "auto", print) == "a connection"
    launch.remove_agent_folder(HERE, "it")
    assert list((runtime / "tierwright").iterdir()) == []
