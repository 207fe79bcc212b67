from __future__ import annotations

import os
import socket
import subprocess

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.file_digests import (
    digest_folder,
    digest_tree,
    read_file,
)


@pytest.fixture
def role(tmp_path):
    folder = tmp_path / "one" / "role"
    (folder / "tasks").mkdir(parents=True)
    (folder / "tasks/main.yml").write_text("- task\n")
    (folder / "files").mkdir()
    (folder / "files/run").write_text("#!/bin/sh\n")
    (folder / "files/run").chmod(0o755)
    return folder


def test_paths_are_relative_and_sorted(role):
    assert list(digest_folder(role)) == ["files/run", "tasks/main.yml"]


def test_a_copy_with_other_times_and_umask_has_the_same_digests(role, tmp_path):
    copy = tmp_path / "other place"
    for path in ("tasks/main.yml", "files/run"):
        (copy / path).parent.mkdir(parents=True)
        (copy / path).write_bytes((role / path).read_bytes())
        (copy / path).chmod(0o700 if path == "files/run" else 0o600)
        os.utime(copy / path, (1, 1))
    assert digest_folder(copy) == digest_folder(role)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda role: (role / "tasks/main.yml").write_text("- other\n"), id="bytes"),
        pytest.param(lambda role: (role / "files/run").chmod(0o644), id="mode"),
        pytest.param(lambda role: (role / "files/run").rename(role / "files/go"), id="name"),
        pytest.param(lambda role: (role / "templates").mkdir() or (role / "templates/x.j2").write_text(""), id="new"),
        pytest.param(lambda role: (role / "tasks/main.yml").unlink(), id="gone"),
        pytest.param(lambda role: (role / "files/link").symlink_to("run"), id="link"),
    ],
)
def test_a_change_that_can_reach_the_tier_counts(role, change):
    before = digest_folder(role)
    change(role)
    assert digest_folder(role) != before


@pytest.mark.parametrize(
    "path", ["molecule/default/molecule.yml", "tests/test_web.py", "__pycache__/x.pyc", ".git/HEAD"]
)
def test_a_file_that_cannot_reach_the_tier_does_not_count(role, path):
    before = digest_folder(role)
    (role / path).parent.mkdir(parents=True)
    (role / path).write_text("anything")
    assert digest_folder(role) == before


def test_links_to_folders_and_loops_count_by_their_target(role):
    (role / "files/self").symlink_to(role)
    assert "files/self" in digest_folder(role)


def fifo(path):
    os.mkfifo(path)


def unix_socket(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def device(path):
    path.symlink_to("/dev/zero")


def link_to_a_fifo(path):
    os.mkfifo(path.parents[1] / "fifo")
    path.symlink_to("../fifo")


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("make", "kind"), [(fifo, "FIFO"), (unix_socket, "socket"), (device, "device"), (link_to_a_fifo, "FIFO")]
)
def test_a_file_that_would_block_reading_is_rejected(tmp_path, monkeypatch, make, kind):
    (tmp_path / "role").mkdir()
    monkeypatch.chdir(tmp_path / "role")
    path = tmp_path / "role/x"
    make(path)
    with pytest.raises(OSError, match=f"it is a {kind}, expected a file"):
        digest_folder(tmp_path / "role")
    with pytest.raises(OSError, match=f"it is a {kind}, expected a file"):
        read_file(path)


def test_broken_links_cycles_and_links_to_null_count_by_their_targets(role):
    (role / "files/masked").symlink_to("/dev/null")
    (role / "files/lost").symlink_to("nowhere")
    (role / "files/a").symlink_to("b")
    (role / "files/b").symlink_to("a")
    assert {"files/masked", "files/lost", "files/a", "files/b"} <= set(digest_folder(role))


def test_anybody_can_compute_the_digest_of_a_folder(role):
    command = "find . -type f ! -path '*/__pycache__/*' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    (role / "__pycache__").mkdir()
    (role / "__pycache__/x.pyc").write_bytes(b"x")
    output = subprocess.run(command, shell=True, cwd=role, check=True, capture_output=True, text=True).stdout
    assert output == f"{digest_tree(role)}  -\n"


def test_a_link_is_digested_without_the_file_that_it_names(role, tmp_path):
    (tmp_path / "outside").write_text("1")
    (role / "link").symlink_to(tmp_path / "outside")
    before = digest_tree(role)
    (tmp_path / "outside").write_text("2")
    assert digest_tree(role) == before
