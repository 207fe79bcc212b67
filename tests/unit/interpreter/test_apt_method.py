"""The apt method of build containers, with a distribution method that always serves the same file."""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.interpreter.inside import apt_method

PROGRAM = apt_method.__file__
CONTENT = b"a package\n" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()

DISTRIBUTION_METHOD = """#!/bin/sh
printf '100 Capabilities\\nVersion: 1.2\\nSend-Config: true\\n\\n'
while read -r line; do
    case $line in
    "URI: "*) uri=${line#URI: } ;;
    "Filename: "*) file=${line#Filename: } ;;
    "600 "*) asked=yes ;;
    "") if [ "$asked" ]; then
            echo "$uri" >>"$0.fetched"
            cat "$0.content" >"$file"
            printf '201 URI Done\\nURI: %s\\nFilename: %s\\n\\n' "$uri" "$file"
        fi
        asked= ;;
    esac
done
"""


class Archive:
    """An archive with one file, a cache, and the method that apt would run."""

    def __init__(self, folder):
        self.cache = folder / "cache"
        self.cache.mkdir()
        self.distribution_method = folder / "http"
        self.distribution_method.write_text(DISTRIBUTION_METHOD)
        self.distribution_method.chmod(0o755)
        Path(f"{self.distribution_method}.content").write_bytes(CONTENT)
        self.target = folder / "partial"

    def apt(self, *messages, cache=None):
        program = [sys.executable, "-I", "-S", PROGRAM, str(cache or self.cache), str(self.distribution_method)]
        requests = "".join(f"{message}\n\n" for message in messages)
        process = subprocess.run(program, input=requests, capture_output=True, text=True, timeout=20, check=True)
        assert process.stderr == ""
        return process.stdout

    def acquire(self, digest=DIGEST, uri="http://archive.test/a.deb", max_size=None, **options):
        self.target.unlink(missing_ok=True)
        expected = f"\nExpected-SHA256: {digest}" if digest else ""
        expected += f"\nMaximum-Size: {max_size}" if max_size else ""
        return self.apt(f"600 URI Acquire\nURI: {uri}\nFilename: {self.target}{expected}", **options)

    @property
    def fetch_count(self):
        path = Path(f"{self.distribution_method}.fetched")
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path)


def test_a_file_is_fetched_once(archive):
    first = archive.acquire()
    assert first.startswith("100 Capabilities")
    assert (archive.fetch_count, archive.target.read_bytes()) == (1, CONTENT)
    assert [path.name for path in archive.cache.iterdir()] == [DIGEST]
    second = archive.acquire(uri="https://mirror.test/a.deb")
    assert (archive.fetch_count, archive.target.read_bytes()) == (1, CONTENT)
    assert f"201 URI Done\nURI: https://mirror.test/a.deb\nFilename: {archive.target}\n" in second
    assert f"SHA256-Hash: {DIGEST}\n" in second


def test_a_file_without_an_expected_digest_is_always_fetched(archive):
    for _time in range(2):
        archive.acquire(digest=None)
    assert archive.fetch_count == 2
    assert list(archive.cache.iterdir()) == []


def test_a_file_with_a_wrong_digest_is_not_cached(archive):
    archive.acquire(digest="0" * 64)
    assert list(archive.cache.iterdir()) == []


def plant(archive, kind):
    entry = archive.cache / DIGEST
    match kind:
        case "other content of the same size":
            entry.write_bytes(CONTENT[::-1])
        case "half of it":
            entry.write_bytes(CONTENT[:5000])
        case "a link to a secret":
            entry.symlink_to("/etc/shadow")
        case "a pipe":
            os.mkfifo(entry)
        case "a folder":
            entry.mkdir()


@pytest.mark.parametrize(
    "kind", ["other content of the same size", "half of it", "a link to a secret", "a pipe", "a folder"]
)
def test_a_planted_cache_entry_is_not_used(archive, kind):
    plant(archive, kind)
    archive.acquire()
    assert (archive.fetch_count, archive.target.read_bytes()) == (1, CONTENT)


def test_a_damaged_cache_entry_is_replaced(archive):
    plant(archive, "half of it")
    archive.acquire()
    archive.acquire()
    assert archive.fetch_count == 1


@pytest.mark.parametrize("uri", ["https://user:password@archive.test/a.deb", "http://user@archive.test/a.deb"])
def test_a_file_that_needs_credentials_is_not_cached(archive, uri):
    archive.acquire(uri=uri)
    assert list(archive.cache.iterdir()) == []


def test_a_file_that_needs_a_client_certificate_is_not_cached(archive):
    certificate = "601 Configuration\nConfig-Item: Dir=/\nConfig-Item: Acquire::https::archive.test::SslCert=/etc/mine"
    archive.apt(
        certificate,
        f"600 URI Acquire\nURI: https://archive.test/a\nFilename: {archive.target}\nExpected-SHA256: {DIGEST}",
    )
    assert list(archive.cache.iterdir()) == []


def test_without_a_cache_the_method_of_the_distribution_is_used(archive, tmp_path):
    archive.acquire(cache=tmp_path / "nowhere")
    assert (archive.fetch_count, archive.target.read_bytes()) == (1, CONTENT)


def test_a_cache_entry_removed_during_the_copy_is_copied_completely(archive, monkeypatch):
    archive.acquire()
    copy = apt_method._copy

    def remove_and_copy(*streams):
        (archive.cache / DIGEST).unlink()
        return copy(*streams)

    monkeypatch.setattr(apt_method, "_copy", remove_and_copy)
    assert apt_method.Cache(str(archive.cache)).take(DIGEST, str(archive.target), 1 << 20) == len(CONTENT)


@pytest.mark.parametrize("max_size", [None, len(CONTENT)], ids=["any size", "a known size"])
def test_a_huge_cache_entry_is_not_read(archive, max_size):
    with (archive.cache / DIGEST).open("wb") as entry:
        entry.truncate(1 << 40)
    archive.acquire(max_size=max_size)
    assert (archive.fetch_count, archive.target.read_bytes()) == (1, CONTENT)


def test_apt_gets_an_answer_if_copying_from_the_cache_fails(archive):
    archive.acquire()
    archive.acquire(max_size="no number")
    assert (archive.fetch_count, archive.target.read_bytes()) == (2, CONTENT)


def test_old_cache_entries_are_removed(archive):
    archive.acquire()
    old, new = archive.cache / ("1" * 64), archive.cache / ("2" * 64)
    for path in (old, new):
        path.write_text("x")
    os.utime(old, (0, time.time() - 40 * 86400))
    (archive.cache / DIGEST).unlink()
    archive.acquire()
    assert {path.name for path in archive.cache.iterdir()} == {DIGEST, new.name}


def test_sigint_ends_the_method(archive):
    program = [sys.executable, "-I", "-S", PROGRAM, str(archive.cache), str(archive.distribution_method)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"100 Capabilities\n"
        process.send_signal(2)
        assert process.wait(10) == -2


@given(st.lists(st.binary(max_size=30)))
def test_messages_are_complete_and_in_order(lines):
    message_lines = [line.replace(b"\n", b"") for line in lines]
    stream = [line + b"\n" for line in message_lines]
    assert b"".join(apt_method._messages(stream)).replace(b"\n", b"") == b"".join(
        message_lines[: max((index for index, line in enumerate(message_lines) if not line), default=0)]
    )


def test_the_method_runs_on_python_3_8_with_only_the_standard_library():
    tree = ast.parse(Path(PROGRAM).read_text(), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "Packages.xz"
    path.write_bytes(b"packed")
    return path


def test_a_list_is_unpacked_once(archive, packed):
    (archive.cache / hashlib.sha256(b"packed").hexdigest()).write_bytes(b"packed")
    for _time in range(2):
        answer = archive.acquire(uri=f"store:{packed}")
        assert (archive.fetch_count, archive.target.read_bytes()) == (1, CONTENT)
    assert f"201 URI Done\nURI: store:{packed}\nFilename: {archive.target}\n" in answer


@pytest.mark.parametrize("missing", [False, True])
def test_a_list_of_a_private_archive_is_not_shared_when_it_is_unpacked(archive, packed, missing):
    """Its packed form is not in the cache, because it needs credentials."""
    if missing:
        packed.unlink()
    for _time in range(2):
        archive.acquire(uri=f"store:{packed}")
    assert archive.fetch_count == 2
    assert list(archive.cache.iterdir()) == []


def test_the_times_of_files_are_noted_only_if_somebody_asks(archive, tmp_path):
    events = tmp_path / "events"
    archive.acquire()
    assert not events.exists()
    for address in ("http://archive.test/a.deb", "http://archive.test/b.deb"):
        program = [
            sys.executable,
            "-I",
            "-S",
            PROGRAM,
            str(archive.cache),
            str(archive.distribution_method),
            str(events),
        ]
        digest = DIGEST if address.endswith("a.deb") else "0" * 64
        request = f"600 URI Acquire\nURI: {address}\nFilename: {archive.target}\nExpected-SHA256: {digest}\n\n"
        subprocess.run(program, input=request, capture_output=True, text=True, timeout=20, check=True)
    lines = [line.split() for line in events.read_text().splitlines()]
    assert [line[2] for line in lines] == ["fetch-cache", "fetch-network"]
    assert all(float(line[4]) <= float(line[0]) for line in lines)
