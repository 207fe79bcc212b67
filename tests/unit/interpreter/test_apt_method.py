"""The method that apt runs in build containers, with a method of the distribution that knows one archive only."""

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

OWN = """#!/bin/sh
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
    """An archive with one file, a cache, and what apt says to both."""

    def __init__(self, folder):
        self.cache = folder / "cache"
        self.cache.mkdir()
        self.own = folder / "http"
        self.own.write_text(OWN)
        self.own.chmod(0o755)
        Path(f"{self.own}.content").write_bytes(CONTENT)
        self.target = folder / "partial"

    def apt(self, *messages, cache=None):
        program = [sys.executable, "-I", "-S", PROGRAM, str(cache or self.cache), str(self.own)]
        said = "".join(f"{message}\n\n" for message in messages)
        done = subprocess.run(program, input=said, capture_output=True, text=True, timeout=20, check=True)
        assert done.stderr == ""
        return done.stdout

    def ask(self, digest=DIGEST, uri="http://archive.test/a.deb", most=None, **options):
        self.target.unlink(missing_ok=True)
        expected = f"\nExpected-SHA256: {digest}" if digest else ""
        expected += f"\nMaximum-Size: {most}" if most else ""
        return self.apt(f"600 URI Acquire\nURI: {uri}\nFilename: {self.target}{expected}", **options)

    @property
    def fetched(self):
        path = Path(f"{self.own}.fetched")
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path)


def test_a_file_is_fetched_once(archive):
    first = archive.ask()
    assert first.startswith("100 Capabilities")
    assert (archive.fetched, archive.target.read_bytes()) == (1, CONTENT)
    assert [path.name for path in archive.cache.iterdir()] == [DIGEST]
    second = archive.ask(uri="https://mirror.test/a.deb")
    assert (archive.fetched, archive.target.read_bytes()) == (1, CONTENT)
    assert f"201 URI Done\nURI: https://mirror.test/a.deb\nFilename: {archive.target}\n" in second
    assert f"SHA256-Hash: {DIGEST}\n" in second


def test_what_apt_expects_no_digest_of_is_always_fetched(archive):
    for _time in range(2):
        archive.ask(digest=None)
    assert archive.fetched == 2
    assert list(archive.cache.iterdir()) == []


def test_what_is_not_what_apt_expects_is_not_kept(archive):
    archive.ask(digest="0" * 64)
    assert list(archive.cache.iterdir()) == []


def planted(archive, how):
    entry = archive.cache / DIGEST
    match how:
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
    "how", ["other content of the same size", "half of it", "a link to a secret", "a pipe", "a folder"]
)
def test_what_somebody_planted_in_the_cache_is_not_believed(archive, how):
    planted(archive, how)
    archive.ask()
    assert (archive.fetched, archive.target.read_bytes()) == (1, CONTENT)


def test_a_poisoned_file_is_replaced_by_the_right_one(archive):
    planted(archive, "half of it")
    archive.ask()
    archive.ask()
    assert archive.fetched == 1


@pytest.mark.parametrize("uri", ["https://user:password@archive.test/a.deb", "http://user@archive.test/a.deb"])
def test_what_takes_credentials_is_not_shared(archive, uri):
    archive.ask(uri=uri)
    assert list(archive.cache.iterdir()) == []


def test_what_takes_a_client_certificate_is_not_shared(archive):
    certificate = "601 Configuration\nConfig-Item: Dir=/\nConfig-Item: Acquire::https::archive.test::SslCert=/etc/mine"
    archive.apt(
        certificate,
        f"600 URI Acquire\nURI: https://archive.test/a\nFilename: {archive.target}\nExpected-SHA256: {DIGEST}",
    )
    assert list(archive.cache.iterdir()) == []


def test_without_a_cache_the_distribution_s_method_is_all_there_is(archive, tmp_path):
    archive.ask(cache=tmp_path / "nowhere")
    assert (archive.fetched, archive.target.read_bytes()) == (1, CONTENT)


def test_a_file_that_somebody_removes_while_it_is_copied_is_whole_all_the_same(archive, monkeypatch):
    archive.ask()
    copy = apt_method._copy

    def copy_and_lose(*streams):
        (archive.cache / DIGEST).unlink()
        return copy(*streams)

    monkeypatch.setattr(apt_method, "_copy", copy_and_lose)
    assert apt_method.Cache(str(archive.cache)).take(DIGEST, str(archive.target), 1 << 20) == len(CONTENT)


@pytest.mark.parametrize("most", [None, len(CONTENT)], ids=["any size", "a known size"])
def test_a_file_that_has_no_end_is_not_read(archive, most):
    with (archive.cache / DIGEST).open("wb") as planted:
        planted.truncate(1 << 40)
    archive.ask(most=most)
    assert (archive.fetched, archive.target.read_bytes()) == (1, CONTENT)


def test_apt_gets_an_answer_where_the_cache_cannot_be_copied_from(archive):
    archive.ask()
    archive.ask(most="no number")
    assert (archive.fetched, archive.target.read_bytes()) == (2, CONTENT)


def test_what_has_not_been_used_for_long_goes(archive):
    archive.ask()
    old, new = archive.cache / ("1" * 64), archive.cache / ("2" * 64)
    for path in (old, new):
        path.write_text("x")
    os.utime(old, (0, time.time() - 40 * 86400))
    (archive.cache / DIGEST).unlink()
    archive.ask()
    assert {path.name for path in archive.cache.iterdir()} == {DIGEST, new.name}


def test_apt_ends_it_with_a_signal(archive):
    program = [sys.executable, "-I", "-S", PROGRAM, str(archive.cache), str(archive.own)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout.readline() == b"100 Capabilities\n"
        running.send_signal(2)
        assert running.wait(10) == -2


@given(st.lists(st.binary(max_size=30)))
def test_messages_come_whole_and_in_order(lines):
    said = [line.replace(b"\n", b"") for line in lines]
    stream = [line + b"\n" for line in said]
    assert b"".join(apt_method._messages(stream)).replace(b"\n", b"") == b"".join(
        said[: max((index for index, line in enumerate(said) if not line), default=0)]
    )


def test_it_runs_on_the_oldest_python_with_the_standard_library_alone():
    tree = ast.parse(Path(PROGRAM).read_text(), feature_version=(3, 8))
    found = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert found <= sys.stdlib_module_names
