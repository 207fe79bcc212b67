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
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry, content in members:
            tar.addfile(entry, io.BytesIO(content))
    return [buffer.getvalue()]


def folder(name):
    return member(name, type=tarfile.DIRTYPE, mode=0o755)


def change_kinds(before, now, tmp_path):
    """Map each listed path to the kind of its change."""
    words = {(True, False): "new", (True, True): "there", (False, True): "gone"}
    return {
        (change.now or change.before).path.decode(): words[change.now is not None, change.before is not None]
        for change in changes(archive(*before), archive(*now), tmp_path / "spool")
    }


def test_new_remaining_and_removed_paths_are_listed(tmp_path):
    before = [folder("etc"), member("etc/a", b"1"), member("etc/b", b"2"), folder("d"), member("d/x")]
    now = [folder("./"), folder("./etc"), member("./etc/a", b"1"), member("etc/c", b"3")]
    assert change_kinds(before, now, tmp_path) == {
        "etc": "there",
        "etc/a": "there",
        "etc/b": "gone",
        "etc/c": "new",
        "d": "gone",  # including its content
    }


def test_the_content_of_a_replaced_folder_is_not_listed(tmp_path):
    before = [folder("d"), member("d/x"), member("f")]
    now = [member("d", type=tarfile.SYMTYPE, linkname="f"), folder("f"), member("f/y")]
    assert change_kinds(before, now, tmp_path) == {"d": "there", "f": "there", "f/y": "new"}


def test_content_can_be_read_later_and_hard_links_share_an_inode(tmp_path):
    now = [member("a", b"one"), member("b", type=tarfile.LNKTYPE, linkname="./a"), member("c", b"three")]
    by_path = {change.now.path: change.now for change in changes(archive(), archive(*now), tmp_path / "spool")}
    assert [b"".join(pieces(by_path[path])) for path in (b"a", b"b", b"c")] == [b"one", b"one", b"three"]
    assert by_path[b"a"].inode == by_path[b"b"].inode != by_path[b"c"].inode
    assert by_path[b"b"].kind is FileKind.FILE


def test_a_damaged_export_is_rejected(tmp_path):
    whole = archive(member("a", b"x" * 5000))[0]
    with pytest.raises(EngineError, match="the archive is damaged"):
        list(changes(archive(), [whole[:2000]], tmp_path / "spool"))


@given(TREES)
@settings(deadline=None)
def test_a_layer_that_is_read_and_written_again_does_not_change(tmp_path_factory, tree):
    content = b"".join(Layer(tree, EPOCH).pieces())
    path = tmp_path_factory.mktemp("layer") / "layer.tar"
    path.write_bytes(content)
    assert b"".join(Layer(entries(path), EPOCH).pieces()) == content
