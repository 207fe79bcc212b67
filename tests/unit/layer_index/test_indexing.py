from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index import merged_files, tar_stream
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.entries import (
    DIRECTORY,
    FILE,
    HARDLINK,
    SYMLINK,
    IndexEntry,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import index
from made_images import digest, layer


def indexed(content):
    return index(io.BytesIO(content), "layer x")


def test_what_is_in_a_layer():
    content = layer(
        ("etc/", None),
        ("./etc/motd", b"hello", {"mode": 0o4640, "uid": 7, "gid": 8}),
        ("etc/link", "-> motd"),
        ("etc/second", "=> etc/motd"),
    )
    found = indexed(content)
    assert found.digest == digest(content)
    assert found.size == 5
    assert found.entries == (
        IndexEntry("etc", DIRECTORY, 0o755, 0, 0, 0, "", ""),
        IndexEntry("etc/motd", FILE, 0o4640, 7, 8, 5, digest(b"hello"), ""),
        IndexEntry("etc/link", SYMLINK, 0o644, 0, 0, 0, "", "motd"),
        IndexEntry("etc/second", HARDLINK, 0o644, 0, 0, 5, digest(b"hello"), "etc/motd"),
    )


def test_whiteouts():
    found = indexed(
        layer(
            (".wh.top", b""), ("var/.wh.gone", b""), ("opt/.wh..wh..opq", b""), ("opt/.wh..wh.plnk", b""), ("a", b"1")
        )
    )
    assert found.whiteouts == ("top", "var/gone")
    assert found.opaque == ("opt",)
    assert [entry.path for entry in found.entries] == ["a"]


def test_a_device():
    content = layer(("dev/null", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}))
    assert indexed(content).entries[0][1::6] == ("character device", "1:3")


def test_an_empty_layer():
    assert indexed(bytes(1024)).entries == ()


def test_names_that_are_no_text():
    found = indexed(layer((b"bad\xff\x1b".decode("utf-8", "surrogateescape"), b"")))
    assert found.entries[0].path == "bad\udcff\x1b"


@pytest.mark.parametrize("path", ["../etc/passwd", "a/../../b", "/../x"])
def test_an_entry_that_leaves_the_root_file_system(path):
    with pytest.raises(DamagedError, match="leaves the root file system"):
        indexed(layer((path, b"")))


def test_a_hard_link_that_leaves_it():
    with pytest.raises(DamagedError, match="leaves the root file system"):
        indexed(layer(("a", "=> ../../etc/shadow")))


@pytest.mark.parametrize("length", [1, 511, 600, 1100])
def test_a_layer_that_ends_too_early(length):
    with pytest.raises(DamagedError, match="layer x"):
        indexed(layer(("file", bytes(5000)))[:length])


def test_a_header_that_would_fill_the_memory():
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    with pytest.raises(DamagedError, match=r"header of \d+ bytes"):
        indexed(header.tobuf(tarfile.GNU_FORMAT))


def test_an_archive_that_never_ends(monkeypatch):
    class Endless:
        def read(self, size):
            return bytes(size)

    head = tarfile.TarInfo("large")
    head.size = 1 << 50
    source = tar_stream.ForwardStream(Endless(), "bomb", largest=1 << 22)
    with pytest.raises(DamagedError, match="bomb unpacks to more than 4 MiB"):
        source.rest()
    monkeypatch.setattr(tar_stream, "MAX_ENTRIES", 3)
    with pytest.raises(DamagedError, match="more than 3 entries"):
        indexed(layer(*((str(number), b"") for number in range(4))))


def test_only_small_files_that_say_what_apt_is_set_to_are_kept():
    large = b"x" * (merged_files.LARGEST + 1)
    found = indexed(
        layer(
            ("./etc/apt/sources.list", b"deb"),
            ("etc/apt/sources.list.d/large.list", large),
            ("etc/apt/sources.list.d/it.sources.save", b"old"),
            ("usr/share/keyrings/it.gpg", large[1:]),
            ("etc/motd", b"hello"),
        )
    )
    assert dict(found.kept) == {"etc/apt/sources.list": b"deb", "usr/share/keyrings/it.gpg": large[1:]}


@given(st.binary(max_size=3000))
def test_anything_is_an_index_or_a_sentence(content):
    try:
        assert indexed(content).digest == digest(content)
    except DamagedError as error:
        assert "layer x" in str(error)  # noqa: PT017 - both ends are right


@given(st.data())
def test_a_layer_with_a_wrong_byte_is_an_index_or_a_sentence(data):
    content = bytearray(layer(("etc/", None), ("etc/motd", b"hello" * 300), ("etc/link", "-> motd"), ("b" * 150, b"x")))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert indexed(bytes(content)).digest == digest(bytes(content))
    except DamagedError as error:
        assert "layer x" in str(error)  # noqa: PT017 - both ends are right
