from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import SealError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import (
    FileEntry,
    FileKind,
    Slice,
    printable_path,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.tar_writer import PIECE, Layer

EPOCH = 1_700_000_000

NAMES = st.binary(min_size=1, max_size=255).map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_"))
PATHS = st.lists(NAMES.filter(lambda name: name not in {b".", b".."}), min_size=1, max_size=3).map(b"/".join)
TARGETS = st.binary(min_size=1, max_size=300).map(lambda target: target.replace(b"\0", b"_"))
ATTRIBUTES = st.dictionaries(
    st.sampled_from([b"security.capability", b"system.posix_acl_access"]), st.binary(min_size=1, max_size=40)
).map(lambda attributes: tuple(sorted(attributes.items())))


@st.composite
def entries(draw):
    kind = draw(st.sampled_from([kind for kind in FileKind if kind is not FileKind.LINK]))
    content = draw(st.binary(max_size=2000)) if kind is FileKind.FILE else b""
    return FileEntry(
        path=draw(PATHS),
        kind=kind,
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(st.integers(0, 2**32 - 1)),
        gid=draw(st.integers(0, 2**32 - 1)),
        mtime=draw(st.integers(-(2**33), 2**35)),
        size=len(content),
        target=draw(TARGETS) if kind is FileKind.SYMLINK else b"",
        device=draw(st.tuples(st.integers(0, 4095), st.integers(0, 2**20 - 1)))
        if kind in {FileKind.CHARACTER, FileKind.BLOCK}
        else (0, 0),
        attributes=draw(ATTRIBUTES),
        content=content,
    )


TREES = st.lists(entries(), max_size=8, unique_by=lambda entry: entry.path)


def layer_bytes(tree, epoch=EPOCH):
    layer = Layer(tree, epoch)
    content = b"".join(layer.pieces())
    assert layer.size == len(content)
    assert layer.digest == "sha256:" + hashlib.sha256(content).hexdigest()
    return content


def test_entries_without_content_are_written_in_pieces_too():
    folders = [FileEntry(b"%d" % number, FileKind.DIRECTORY, 0o755, 0, 0, 5) for number in range(10_000)]
    sizes = [len(piece) for piece in Layer(folders, EPOCH).pieces()]
    assert sum(sizes) > 2 * PIECE
    assert max(sizes) <= PIECE


@given(TREES, st.integers(2, 8))
@settings(deadline=None)
def test_the_size_of_pieces_does_not_change_the_layer(tree, blocks):
    content = layer_bytes(tree)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.tar_writer.PIECE", blocks * 512
        )
        sizes = [len(piece) for piece in Layer(tree, EPOCH).pieces()]
        assert layer_bytes(tree) == content
    assert not [size for size in sizes if size == 0 or size % 512]


def test_a_header_can_be_longer_than_a_piece():
    long = replace(FILE, attributes=((b"security.capability", bytes(2 * PIECE)),))
    with tarfile.open(fileobj=io.BytesIO(layer_bytes([FILE, replace(long, path=b"etc/long")]))) as tar:
        assert [len(member.pax_headers.get("SCHILY.xattr.security.capability", "")) for member in tar] == [0, 2 * PIECE]


def test_reading_ends_before_the_last_piece():
    events = []

    @contextmanager
    def reading():
        events.append("begun")
        yield
        events.append("read")

    large = FileEntry(b"large", FileKind.FILE, 0o644, 0, 0, 5, PIECE, content=bytes(PIECE))
    pieces = Layer([large, replace(large, path=b"other")], EPOCH, reading).pieces()
    next(pieces)
    assert events == ["begun"]
    next(pieces)
    assert events == ["begun"]
    next(pieces)
    assert events == ["begun", "read"]
    assert list(pieces) == []


def octets(text):
    return text.encode("utf-8", "surrogateescape")


def to_entry(member, tar):
    """Convert a member that Python read to an entry."""
    kind = FileKind(member.type)
    prefix = "SCHILY.xattr."
    pax = {octets(key[len(prefix) :]): octets(value) for key, value in member.pax_headers.items() if prefix in key}
    return FileEntry(
        path=octets(member.name),
        kind=kind,
        mode=member.mode,
        uid=member.uid,
        gid=member.gid,
        mtime=int(member.mtime),
        size=member.size,
        target=octets(member.linkname),
        device=(member.devmajor, member.devminor) if kind in {FileKind.CHARACTER, FileKind.BLOCK} else (0, 0),
        attributes=tuple(sorted(pax.items())),
        content=tar.extractfile(member).read() if kind is FileKind.FILE else b"",
    )


@given(TREES)
@settings(deadline=None)
def test_python_reads_the_entries_that_were_written(tree):
    with tarfile.open(fileobj=io.BytesIO(layer_bytes(tree))) as tar:
        result = [to_entry(member, tar) for member in tar]
    assert result == [
        replace(entry, mtime=min(entry.mtime, EPOCH)) for entry in sorted(tree, key=lambda entry: entry.path)
    ]


@given(TREES)
@settings(max_examples=25, deadline=None)
def test_gnu_tar_reads_the_layer(tree):
    content = layer_bytes(tree)
    command = ["tar", "--list", "--quoting-style=escape", "--file=-"]
    process = subprocess.run(command, input=content, capture_output=True, check=False, env={"LC_ALL": "C"})
    assert process.returncode == 0, process.stderr
    assert process.stdout.count(b"\n") == len(tree)


@given(TREES, st.randoms())
@settings(deadline=None)
def test_the_order_of_entries_does_not_change_the_layer(tree, random):
    content = layer_bytes(tree)
    random.shuffle(tree)
    assert layer_bytes(tree) == content


FILE = FileEntry(b"etc/file", FileKind.FILE, 0o644, 0, 0, 5, 3, content=b"abc")


def test_an_entry_that_fits_into_ustar_has_no_extra_headers():
    with tarfile.open(fileobj=io.BytesIO(layer_bytes([FILE]))) as tar:
        (member,) = tar
    assert (member.pax_headers, member.uname, member.gname, member.offset_data) == ({}, "", "", 512)


def test_a_layer_without_entries_is_an_empty_archive():
    layer = Layer([], EPOCH)
    assert b"".join(layer.pieces()) == bytes(1024)
    # Every engine knows the empty layer by this digest.
    assert layer.digest == "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


def test_hard_links_point_to_the_first_name_of_a_file():
    names = [replace(FILE, path=path, inode=7) for path in (b"z", b"a.b", b"a/b")]
    with tarfile.open(fileobj=io.BytesIO(layer_bytes(names))) as tar:
        assert [(member.name, member.type, member.linkname, member.size) for member in tar] == [
            ("a.b", tarfile.REGTYPE, "", 3),
            ("a/b", tarfile.LNKTYPE, "a.b", 0),
            ("z", tarfile.LNKTYPE, "a.b", 0),
        ]


def test_the_content_digest_ignores_times_that_the_epoch_replaces():
    def content(entry, epoch):
        layer = Layer([entry], epoch)
        for _piece in layer.pieces():
            pass
        return layer.content

    late = replace(FILE, mtime=EPOCH + 5)
    assert content(late, EPOCH) == content(replace(late, mtime=EPOCH + 9), EPOCH + 1)
    assert content(FILE, EPOCH) == content(FILE, EPOCH + 1)
    assert content(FILE, EPOCH) != content(replace(FILE, mtime=4), EPOCH)
    assert content(FILE, EPOCH) != content(replace(FILE, content=b"abd"), EPOCH)
    assert content(FILE, EPOCH) != content(replace(FILE, mode=0o600), EPOCH)


@given(TREES, st.sampled_from([EPOCH, 0, 1]))
@settings(deadline=None)
def test_the_content_digest_uses_1970_for_times_that_the_epoch_replaces(tree, epoch):
    layer = Layer(tree, epoch)
    for _piece in layer.pieces():
        pass
    early = [replace(entry, mtime=0) if entry.mtime >= epoch else entry for entry in tree]
    assert layer.content == "sha256:" + hashlib.sha256(layer_bytes(early)).hexdigest()


@pytest.mark.parametrize("epoch", [-5, 2**33, 253_402_300_799])
def test_an_epoch_that_does_not_fit_into_ustar_is_written(epoch):
    with tarfile.open(fileobj=io.BytesIO(layer_bytes([replace(FILE, mtime=2**40)], epoch))) as tar:
        assert [int(member.mtime) for member in tar] == [epoch]


def test_large_files_are_written_in_pieces(tmp_path):
    path = tmp_path / "large"
    size = 2 * PIECE + 5
    with path.open("wb") as file:
        file.write(b"start")
        file.truncate(size)
        file.seek(PIECE + 7)
        file.write(b"middle")
    pieces = list(Layer([replace(FILE, size=size, content=Slice(bytes(path)))], EPOCH).pieces())
    assert [len(piece) for piece in pieces] == [PIECE, PIECE, 512 * 4]
    assert b"".join(pieces)[512 : 512 + size] == path.read_bytes()


def test_a_file_that_became_shorter_is_reported(tmp_path):
    path = tmp_path / "short"
    path.write_bytes(b"ab")
    layer = Layer([replace(FILE, content=Slice(bytes(path)))], EPOCH)
    with pytest.raises(SealError, match="/etc/file became shorter"):
        b"".join(layer.pieces())


def test_a_file_that_was_removed_is_reported():
    layer = Layer([replace(FILE, content=Slice(b"/nonexistent/file"))], EPOCH)
    with pytest.raises(SealError, match="/etc/file cannot be read: No such file"):
        b"".join(layer.pieces())


@pytest.mark.parametrize(
    ("path", "text"),
    [(b"a/b", "a/b"), ("ä".encode(), "ä"), (b"a\nb", r"a\nb"), (b"\xff", r"\xff"), (b"\x1b[", r"\x1b[")],
)
def test_a_path_is_printed_on_one_line(path, text):
    assert printable_path(path) == text
