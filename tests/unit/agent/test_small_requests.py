"""Requests that the agent answers without a child process. The results must be those of a child process."""

from __future__ import annotations

import os

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.inside import small_requests

pytestmark = pytest.mark.once

NAME = "ansible-tmp-1795503010.2590-2535-79575538736346"


def test_a_folder_is_made_allowed_and_removed(tmp_path):
    mask = os.umask(0o022)
    try:
        base = tmp_path / "base"
        folder = base / NAME
        made = small_requests.answer({"do": "make", "base": str(base), "name": NAME, "user": ""})
        assert made == f"{NAME}={folder}\n"
        assert folder.stat().st_mode & 0o777 == 0o700
        file = folder / ".source"
        assert small_requests.write(str(file), b"content")
        assert file.stat().st_mode & 0o777 == 0o644  # the umask of the agent is what it was
        assert small_requests.answer({"do": "allow", "paths": [str(file)], "user": ""}) == ""
        assert file.stat().st_mode & 0o777 == 0o744
        for _ in range(2):  # removing it again is no error
            assert small_requests.answer({"do": "remove", "path": str(folder), "user": ""}) == ""
        assert not folder.exists()
    finally:
        os.umask(mask)


def test_a_child_process_reports_errors(tmp_path):
    (tmp_path / "file").write_text("")
    for base in (tmp_path / "file", tmp_path):
        request = {"do": "make", "base": str(base), "name": NAME, "user": ""}
        assert (small_requests.answer(request) is None) == (base.name == "file")
    assert small_requests.answer({"do": "allow", "paths": [str(tmp_path / "missing")], "user": ""}) is None


@pytest.mark.parametrize(
    "change", [{"do": "exec"}, {"do": []}, {"user": "nobody"}, {"user": "root:1"}, {"env": {"A": "b"}}]
)
def test_a_child_process_serves_other_users_and_requests(tmp_path, change):
    request = {"do": "make", "base": str(tmp_path), "name": NAME, "user": "", **change}
    assert small_requests.answer(request) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("tree", ["folder", "link", "many", "large"])
def test_a_child_process_removes_all_but_a_few_small_files(tmp_path, tree):
    if tree == "folder":
        (tmp_path / "folder").mkdir()
    elif tree == "link":
        (tmp_path / "link").symlink_to("/etc")
    elif tree == "large":
        (tmp_path / "large").write_bytes(bytes(small_requests.MAX_FILE + 1))
    else:
        for number in range(17):
            (tmp_path / str(number)).write_text("")
    assert small_requests.answer({"do": "remove", "path": str(tmp_path), "user": ""}) is None
    assert list(tmp_path.iterdir())


def test_nothing_that_exists_is_written(tmp_path):
    target = tmp_path / "target"
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(target)
    os.mkfifo(pipe)
    assert not small_requests.write(str(link), b"content")
    assert not small_requests.write(str(pipe), b"content")
    assert not target.exists()


def test_only_files_in_a_temporary_folder_are_written():
    inside = {"do": "put", "path": f"/tmp/{NAME}/.source", "user": ""}
    assert small_requests.may_write(inside)
    for path in ("/etc/passwd", f"/tmp/{NAME}/../../etc/passwd", f"{NAME}/.source", 7, None):
        assert not small_requests.may_write({**inside, "path": path})
    assert not small_requests.may_write({**inside, "user": "nobody"})


@pytest.mark.parametrize("size", [0, 3, small_requests.MAX_FILE, small_requests.MAX_FILE + 1])
def test_a_child_process_writes_large_files_and_existing_ones(an_agent, tmp_path, size):
    folder = tmp_path / NAME
    folder.mkdir()
    for content in (b"a" * size, b"b" * size):  # at the second time, the file exists
        result = an_agent.run({"do": "put", "path": str(folder / "file"), "user": ""}, content)
        assert result.code == 0
        assert (folder / "file").read_bytes() == content


def test_an_aborted_file_is_not_written(tmp_path):
    ends = []
    file = small_requests.SmallFile(str(tmp_path / "file"), ends.append, lambda: None)
    file.feed(b"content")
    file.abort()
    assert ends == [15]
    assert not (tmp_path / "file").exists()
