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
).map(lambda found: tuple(sorted(found.items())))


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


def written(found, epoch=EPOCH):
    layer = Layer(found, epoch)
    content = b"".join(layer.pieces())
    assert layer.size == len(content)
    assert layer.digest == "sha256:" + hashlib.sha256(content).hexdigest()
    return content


def test_what_has_no_content_is_given_in_pieces_as_well():
    folders = [FileEntry(b"%d" % number, FileKind.DIRECTORY, 0o755, 0, 0, 5) for number in range(10_000)]
    sizes = [len(piece) for piece in Layer(folders, EPOCH).pieces()]
    assert sum(sizes) > 2 * PIECE
    assert max(sizes) <= PIECE


@given(TREES, st.integers(2, 8))
@settings(deadline=None)
def test_how_long_pieces_are_says_nothing(found, blocks):
    content = written(found)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.tar_writer.PIECE", blocks * 512
        )
        sizes = [len(piece) for piece in Layer(found, EPOCH).pieces()]
        assert written(found) == content
    assert not [size for size in sizes if size == 0 or size % 512]


def test_a_header_may_be_longer_than_a_piece():
    long = replace(FILE, attributes=((b"security.capability", bytes(2 * PIECE)),))
    with tarfile.open(fileobj=io.BytesIO(written([FILE, replace(long, path=b"etc/long")]))) as tar:
        assert [len(member.pax_headers.get("SCHILY.xattr.security.capability", "")) for member in tar] == [0, 2 * PIECE]


def test_all_has_been_read_before_the_last_piece_is_given():
    done = []

    @contextmanager
    def reading():
        done.append("begun")
        yield
        done.append("read")

    large = FileEntry(b"large", FileKind.FILE, 0o644, 0, 0, 5, PIECE, content=bytes(PIECE))
    pieces = Layer([large, replace(large, path=b"other")], EPOCH, reading).pieces()
    next(pieces)
    assert done == ["begun"]
    next(pieces)
    assert done == ["begun"]
    next(pieces)
    assert done == ["begun", "read"]
    assert list(pieces) == []


def octets(text):
    return text.encode("utf-8", "surrogateescape")


def read(member, tar):
    """An entry again, as Python reads it."""
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
def test_what_is_written_is_read_again(found):
    with tarfile.open(fileobj=io.BytesIO(written(found))) as tar:
        again = [read(member, tar) for member in tar]
    assert again == [replace(each, mtime=min(each.mtime, EPOCH)) for each in sorted(found, key=lambda each: each.path)]


@given(TREES)
@settings(max_examples=25, deadline=None)
def test_gnu_tar_reads_it_too(found):
    content = written(found)
    command = ["tar", "--list", "--quoting-style=escape", "--file=-"]
    done = subprocess.run(command, input=content, capture_output=True, check=False, env={"LC_ALL": "C"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"\n") == len(found)


@given(TREES, st.randoms())
@settings(deadline=None)
def test_the_order_of_entries_says_nothing(found, random):
    content = written(found)
    random.shuffle(found)
    assert written(found) == content


FILE = FileEntry(b"etc/file", FileKind.FILE, 0o644, 0, 0, 5, 3, content=b"abc")


def test_what_ustar_holds_needs_no_more_than_ustar():
    with tarfile.open(fileobj=io.BytesIO(written([FILE]))) as tar:
        (member,) = tar
    assert (member.pax_headers, member.uname, member.gname, member.offset_data) == ({}, "", "", 512)


def test_a_layer_without_entries_is_the_end_of_an_archive():
    layer = Layer([], EPOCH)
    assert b"".join(layer.pieces()) == bytes(1024)
    # The digest that every engine knows it by.
    assert layer.digest == "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


def test_further_names_of_a_file_are_links_to_the_first():
    names = [replace(FILE, path=path, inode=7) for path in (b"z", b"a.b", b"a/b")]
    with tarfile.open(fileobj=io.BytesIO(written(names))) as tar:
        assert [(each.name, each.type, each.linkname, each.size) for each in tar] == [
            ("a.b", tarfile.REGTYPE, "", 3),
            ("a/b", tarfile.LNKTYPE, "a.b", 0),
            ("z", tarfile.LNKTYPE, "a.b", 0),
        ]


def test_content_has_a_digest_without_the_times_that_the_epoch_gives():
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
def test_the_digest_of_content_is_that_of_the_layer_with_1970_for_the_epoch(found, epoch):
    layer = Layer(found, epoch)
    for _piece in layer.pieces():
        pass
    early = [replace(each, mtime=0) if each.mtime >= epoch else each for each in found]
    assert layer.content == "sha256:" + hashlib.sha256(written(early)).hexdigest()


@pytest.mark.parametrize("epoch", [-5, 2**33, 253_402_300_799])
def test_an_epoch_that_no_ustar_header_holds_is_a_time_as_any(epoch):
    with tarfile.open(fileobj=io.BytesIO(written([replace(FILE, mtime=2**40)], epoch))) as tar:
        assert [int(member.mtime) for member in tar] == [epoch]


def test_large_files_go_through_in_pieces(tmp_path):
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


def test_a_file_that_became_shorter_is_told(tmp_path):
    path = tmp_path / "short"
    path.write_bytes(b"ab")
    layer = Layer([replace(FILE, content=Slice(bytes(path)))], EPOCH)
    with pytest.raises(SealError, match="/etc/file became shorter"):
        b"".join(layer.pieces())


def test_a_file_that_is_gone_is_told():
    layer = Layer([replace(FILE, content=Slice(b"/nonexistent/file"))], EPOCH)
    with pytest.raises(SealError, match="/etc/file cannot be read: No such file"):
        b"".join(layer.pieces())


@pytest.mark.parametrize(
    ("path", "text"),
    [(b"a/b", "a/b"), ("ä".encode(), "ä"), (b"a\nb", r"a\nb"), (b"\xff", r"\xff"), (b"\x1b[", r"\x1b[")],
)
def test_paths_are_shown_on_one_line(path, text):
    assert printable_path(path) == text
