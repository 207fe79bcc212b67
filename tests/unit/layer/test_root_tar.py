from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import FileKind, pieces
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.root_tar import changes, entries
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.tar_writer import Layer

from .test_tar_writer import EPOCH, TREES


def member(name, content=b"", **fields):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for key, value in fields.items():
        setattr(entry, key, value)
    return entry, content


def archive(*members):
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for entry, content in members:
            tar.addfile(entry, io.BytesIO(content))
    return [written.getvalue()]


def folder(name):
    return member(name, type=tarfile.DIRTYPE, mode=0o755)


def found(before, now, tmp_path):
    """Paths that differ, with what became of each."""
    words = {(True, False): "new", (True, True): "there", (False, True): "gone"}
    return {
        (each.now or each.before).path.decode(): words[each.now is not None, each.before is not None]
        for each in changes(archive(*before), archive(*now), tmp_path / "spool")
    }


def test_what_came_stayed_and_went(tmp_path):
    before = [folder("etc"), member("etc/a", b"1"), member("etc/b", b"2"), folder("d"), member("d/x")]
    now = [folder("./"), folder("./etc"), member("./etc/a", b"1"), member("etc/c", b"3")]
    assert found(before, now, tmp_path) == {
        "etc": "there",
        "etc/a": "there",
        "etc/b": "gone",
        "etc/c": "new",
        "d": "gone",  # and with it all that was in it
    }


def test_what_lay_in_a_folder_that_is_none_now_needs_no_word(tmp_path):
    before = [folder("d"), member("d/x"), member("f")]
    now = [member("d", type=tarfile.SYMTYPE, linkname="f"), folder("f"), member("f/y")]
    assert found(before, now, tmp_path) == {"d": "there", "f": "there", "f/y": "new"}


def test_content_is_read_again_and_names_of_one_file_are_known(tmp_path):
    now = [member("a", b"one"), member("b", type=tarfile.LNKTYPE, linkname="./a"), member("c", b"three")]
    listed = {each.now.path: each.now for each in changes(archive(), archive(*now), tmp_path / "spool")}
    assert [b"".join(pieces(listed[path])) for path in (b"a", b"b", b"c")] == [b"one", b"one", b"three"]
    assert listed[b"a"].inode == listed[b"b"].inode != listed[b"c"].inode
    assert listed[b"b"].kind is FileKind.FILE


def test_a_damaged_export_is_told(tmp_path):
    whole = archive(member("a", b"x" * 5000))[0]
    with pytest.raises(EngineError, match="the archive is damaged"):
        list(changes(archive(), [whole[:2000]], tmp_path / "spool"))


@given(TREES)
@settings(deadline=None)
def test_a_layer_that_is_read_and_written_again_is_the_same(tmp_path_factory, found):
    content = b"".join(Layer(found, EPOCH).pieces())
    path = tmp_path_factory.mktemp("layer") / "layer.tar"
    path.write_bytes(content)
    assert b"".join(Layer(entries(path), EPOCH).pieces()) == content
