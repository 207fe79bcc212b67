"""What is remembered about the packages of a sealed layer is what an index of the whole layer has."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import FileEntry, FileKind, Slice
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.tar_writer import Layer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store, index
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing.package_memory import (
    remember_packages,
    watch_packages,
)

pytestmark = pytest.mark.once

STATUS = b"Package: ssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\nSource: openssl (1.0)\n"


def file(path, content, **more):
    return FileEntry(path, FileKind.FILE, 0o644, 0, 0, 1, size=len(content), content=content, **more)


def folder(path):
    return FileEntry(path, FileKind.DIRECTORY, 0o755, 0, 0, 1)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def seal(*entries):
    layer = Layer(entries, 100)
    watch_packages(layer)
    content = b"".join(layer.pieces())
    remember_packages(layer)
    return layer.digest, content


def test_packages_and_the_distribution_are_remembered_and_nothing_else(tmp_path):
    big = tmp_path / "status"
    big.write_bytes(b"skipped" + STATUS)
    digest, content = seal(
        folder(b"var"),
        FileEntry(
            b"var/lib/dpkg/status", FileKind.FILE, 0o644, 0, 0, 1, len(STATUS), content=Slice(str(big).encode(), 7)
        ),
        file(b"etc/os-release", b"ID=debian\nVERSION_ID=12\n"),
        file(b"usr/bin/ssl", b"\x7fELF" * 1000),
    )
    whole, remembered = index(io.BytesIO(content), "layer"), Store().packages(digest)
    assert remembered.digest == whole.digest == digest
    assert remembered.databases == whole.databases != {}
    assert remembered.installed == whole.installed
    assert remembered.kept == whole.kept != {}
    assert [entry.path for entry in remembered.entries] == ["etc/os-release", "var", "var/lib/dpkg/status"]
    assert [entry for entry in whole.entries if entry.path != "usr/bin/ssl"] == list(remembered.entries)


def test_removed_databases_and_folders_are_remembered():
    digest, content = seal(
        file(b"var/lib/.wh.dpkg", b""), file(b"usr/lib/.wh.os-release", b""), file(b"srv/.wh.data", b"")
    )
    remembered = Store().packages(digest)
    assert set(remembered.whiteouts) == {"var/lib/dpkg", "usr/lib/os-release"}
    assert set(remembered.whiteouts) < set(index(io.BytesIO(content), "layer").whiteouts)


def test_a_layer_without_packages_is_remembered_as_such():
    digest, _content = seal(file(b"srv/index.html", b"hello"))
    remembered = Store().packages(digest)
    assert (remembered.entries, dict(remembered.databases)) == ((), {})


def test_a_whole_index_comes_before_what_is_remembered():
    digest, content = seal(file(b"srv/index.html", b"hello"))
    Store().add(index(io.BytesIO(content), "layer"))
    assert [entry.path for entry in Store().packages(digest).entries] == ["srv/index.html"]


def test_a_layer_that_is_read_twice_is_kept_once():
    layer = Layer([file(b"var/lib/dpkg/status", STATUS)], 100)
    watch_packages(layer)
    for _attempt in range(2):
        assert sum(map(len, layer.pieces())) == layer.size
    assert [entry.content for entry in layer.kept()] == [STATUS]


def test_nothing_is_kept_unless_somebody_asks():
    layer = Layer([file(b"var/lib/dpkg/status", STATUS)], 100)
    list(layer.pieces())
    assert layer.kept() == []


def test_a_cache_that_cannot_be_written_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    digest, _content = seal(file(b"var/lib/dpkg/status", STATUS))
    assert Store(Path(tmp_path / "other")).packages(digest) is None
