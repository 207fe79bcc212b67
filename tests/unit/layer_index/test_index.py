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


def make_index(content):
    return index(io.BytesIO(content), "layer x")


def test_the_entries_of_a_layer_are_indexed():
    content = layer(
        ("etc/", None),
        ("./etc/motd", b"hello", {"mode": 0o4640, "uid": 7, "gid": 8}),
        ("etc/link", "-> motd"),
        ("etc/second", "=> etc/motd"),
    )
    result = make_index(content)
    assert result.digest == digest(content)
    assert result.size == 5
    assert result.entries == (
        IndexEntry("etc", DIRECTORY, 0o755, 0, 0, 0, "", ""),
        IndexEntry("etc/motd", FILE, 0o4640, 7, 8, 5, digest(b"hello"), ""),
        IndexEntry("etc/link", SYMLINK, 0o644, 0, 0, 0, "", "motd"),
        IndexEntry("etc/second", HARDLINK, 0o644, 0, 0, 5, digest(b"hello"), "etc/motd"),
    )


def test_whiteouts_are_indexed():
    result = make_index(
        layer(
            (".wh.top", b""), ("var/.wh.gone", b""), ("opt/.wh..wh..opq", b""), ("opt/.wh..wh.plnk", b""), ("a", b"1")
        )
    )
    assert result.whiteouts == ("top", "var/gone")
    assert result.opaque == ("opt",)
    assert [entry.path for entry in result.entries] == ["a"]


def test_a_device_is_indexed():
    content = layer(("dev/null", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}))
    assert make_index(content).entries[0][1::6] == ("character device", "1:3")


def test_an_empty_layer_has_no_entries():
    assert make_index(bytes(1024)).entries == ()


def test_a_name_that_is_not_utf_8_is_indexed():
    result = make_index(layer((b"bad\xff\x1b".decode("utf-8", "surrogateescape"), b"")))
    assert result.entries[0].path == "bad\udcff\x1b"


@pytest.mark.parametrize("path", ["../etc/passwd", "a/../../b", "/../x"])
def test_an_entry_outside_the_root_file_system_is_rejected(path):
    with pytest.raises(DamagedError, match="leaves the root file system"):
        make_index(layer((path, b"")))


def test_a_hard_link_out_of_the_root_file_system_is_rejected():
    with pytest.raises(DamagedError, match="leaves the root file system"):
        make_index(layer(("a", "=> ../../etc/shadow")))


@pytest.mark.parametrize("length", [1, 511, 600, 1100])
def test_a_truncated_layer_is_rejected(length):
    with pytest.raises(DamagedError, match="layer x"):
        make_index(layer(("file", bytes(5000)))[:length])


def test_a_huge_header_is_rejected():
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    with pytest.raises(DamagedError, match=r"header of \d+ bytes"):
        make_index(header.tobuf(tarfile.GNU_FORMAT))


def test_an_endless_archive_is_rejected(monkeypatch):
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
        make_index(layer(*((str(number), b"") for number in range(4))))


def test_only_small_files_of_the_apt_configuration_are_stored():
    large = b"x" * (merged_files.LARGEST + 1)
    result = make_index(
        layer(
            ("./etc/apt/sources.list", b"deb"),
            ("etc/apt/sources.list.d/large.list", large),
            ("etc/apt/sources.list.d/it.sources.save", b"old"),
            ("usr/share/keyrings/it.gpg", large[1:]),
            ("etc/motd", b"hello"),
        )
    )
    assert dict(result.kept) == {"etc/apt/sources.list": b"deb", "usr/share/keyrings/it.gpg": large[1:]}


@given(st.binary(max_size=3000))
def test_any_content_gives_an_index_or_a_message(content):
    try:
        assert make_index(content).digest == digest(content)
    except DamagedError as error:
        assert "layer x" in str(error)  # noqa: PT017 - both outcomes are correct


@given(st.data())
def test_a_damaged_layer_gives_an_index_or_a_message(data):
    content = bytearray(layer(("etc/", None), ("etc/motd", b"hello" * 300), ("etc/link", "-> motd"), ("b" * 150, b"x")))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert make_index(bytes(content)).digest == digest(bytes(content))
    except DamagedError as error:
        assert "layer x" in str(error)  # noqa: PT017 - both outcomes are correct
