"""Upper and lower directories as the kernel writes them; only root may make whiteouts and see marks."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import FileKind, below
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.overlay_changes import (
    USER,
    Lower,
    NotReadableError,
    Overlay,
    changes,
    sees_all_attributes,
)

pytestmark = pytest.mark.skipif(not sees_all_attributes(), reason="only root sees an overlay's marks")


@pytest.fixture
def overlay(tmp_path):
    for name in ("upper", "top", "bottom"):
        (tmp_path / name).mkdir()
    return tmp_path


def make(place, *paths, content="x"):
    for path in paths:
        target = place / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            target.mkdir(exist_ok=True)
        else:
            target.write_text(content)


def whiteout(place, path):
    target = place / path
    target.parent.mkdir(parents=True, exist_ok=True)
    os.mknod(target, stat.S_IFCHR, 0)


def opaque(place, path):
    os.setxattr(place / path, "trusted.overlay.opaque", b"y")


def found(overlay):
    """Paths, with what became of each."""
    here = Overlay(bytes(overlay / "upper"), (bytes(overlay / "top"), bytes(overlay / "bottom")))
    words = {(True, False): "new", (True, True): "changed", (False, True): "gone"}
    listed = [
        ((each.now or each.before).path.decode(), words[each.now is not None, each.before is not None])
        for each in changes(here)
    ]
    assert len(dict(listed)) == len(listed)
    return dict(listed)


def test_files_are_new_or_changed(overlay):
    make(overlay / "bottom", "etc/a", "etc/b")
    make(overlay / "upper", "etc/a", "etc/c")
    assert found(overlay) == {"etc": "changed", "etc/a": "changed", "etc/c": "new"}


def test_a_deletion_counts_where_there_is_something_to_delete(overlay):
    make(overlay / "bottom", "a", "b")
    whiteout(overlay / "top", "b")
    for name in ("a", "b", "c"):
        whiteout(overlay / "upper", name)
    assert found(overlay) == {"a": "gone"}


def test_a_new_folder_hides_nothing(overlay):
    make(overlay / "upper", "new/x")
    opaque(overlay / "upper", "new")
    assert found(overlay) == {"new": "new", "new/x": "new"}


def test_a_folder_that_was_made_again_hides_what_was_in_it(overlay):
    make(overlay / "bottom", "d/a", "d/b", "d/sub/x", "d/sub/y")
    make(overlay / "top", "d/c", "d/sub/z")
    whiteout(overlay / "top", "d/b")
    make(overlay / "upper", "d/a", "d/sub/x")
    opaque(overlay / "upper", "d")
    assert found(overlay) == {
        "d": "changed",
        "d/a": "changed",
        "d/c": "gone",
        "d/sub": "changed",
        "d/sub/x": "changed",
        "d/sub/y": "gone",
        "d/sub/z": "gone",
    }


def test_an_opaque_folder_below_hides_what_lies_under_it(overlay):
    make(overlay / "bottom", "d/old")
    make(overlay / "top", "d/new")
    opaque(overlay / "top", "d")
    make(overlay / "upper", "d/old", "d/new")
    assert found(overlay) == {"d": "changed", "d/old": "new", "d/new": "changed"}


def test_a_folder_in_the_place_of_a_file_and_the_other_way_round(overlay):
    make(overlay / "bottom", "file", "folder/x")
    make(overlay / "upper", "file/x", "folder")
    assert found(overlay) == {"file": "changed", "file/x": "new", "folder": "changed"}


def test_a_folder_above_a_file_is_not_merged_with_what_lies_under_that(overlay):
    make(overlay / "bottom", "p/x")
    make(overlay / "top", "p")
    make(overlay / "upper", "p/x")
    assert found(overlay) == {"p": "changed", "p/x": "new"}


@pytest.mark.parametrize(
    ("name", "value"), [("redirect", b"/elsewhere"), ("metacopy", b""), ("opaque", b"x"), ("whiteout", b"y")]
)
def test_marks_that_only_the_kernel_can_follow_are_told(overlay, name, value):
    make(overlay / "upper", "d/")
    os.setxattr(overlay / "upper/d", f"trusted.overlay.{name}", value)
    with pytest.raises(NotReadableError):
        found(overlay)


def test_harmless_marks_and_labels_are_not_in_an_entry(overlay):
    make(overlay / "upper", "x")
    place = overlay / "upper/x"
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    marks = {"trusted.overlay.origin": b"o", "user.note": b"n", "security.capability": capability}
    for name, value in marks.items():
        os.setxattr(place, name, value)
    (change,) = changes(Overlay(bytes(overlay / "upper"), ()))
    assert change.now.attributes == ((b"security.capability", capability),)


def test_sockets_are_told_as_such(overlay):
    make(overlay / "bottom", "s")
    os.mknod(overlay / "upper/s", stat.S_IFSOCK | 0o600)
    os.mknod(overlay / "upper/t", stat.S_IFSOCK | 0o600)
    here = Overlay(bytes(overlay / "upper"), (bytes(overlay / "bottom"),))
    assert {each.now.path: (each.now.kind, each.before is not None) for each in changes(here)} == {
        b"s": (FileKind.SOCKET, True),
        b"t": (FileKind.SOCKET, False),
    }


def test_names_need_not_be_text(overlay):
    (overlay / "upper" / os.fsdecode(b"bad\xffname\n")).write_text("")
    (change,) = changes(Overlay(bytes(overlay / "upper"), ()))
    assert change.now.path == b"bad\xffname\n"


@pytest.mark.parametrize(("depth", "readable"), [(1200, True), (3000, False)])
def test_a_tree_may_be_as_deep_as_a_path_may_be_long(overlay, monkeypatch, depth, readable):
    monkeypatch.chdir(overlay / "upper")
    for _level in range(depth):
        Path("d").mkdir()
        os.chdir("d")
    os.chdir("/")
    try:
        read = changes(Overlay(bytes(overlay / "upper"), ()))
        if readable:
            assert max(len(change.now.path) for change in read) == 2 * depth - 1
        else:
            with pytest.raises(NotReadableError, match="File name too long"):
                list(read)
    finally:
        subprocess.run(["rm", "-rf", str(overlay / "upper")], check=True)  # pytest's own recursion ends before


def test_marks_that_the_mount_does_not_heed_hide_nothing(overlay):
    """A parent's layer, or a role, may carry the marks of mounts of another kind; the kernel shows what is below."""
    make(overlay / "bottom", "d/old", "e/old")
    make(overlay / "top", "d/", "e/x")
    os.setxattr(overlay / "top/d", "user.overlay.opaque", b"y")
    make(overlay / "upper", "e/new")
    os.setxattr(overlay / "upper/e", "user.overlay.opaque", b"y")
    os.setxattr(overlay / "upper/e", "user.overlay.redirect", b"/elsewhere")
    whiteout(overlay / "upper", "d/old")
    assert found(overlay) == {"d": "changed", "d/old": "gone", "e": "changed", "e/new": "new"}
    lowers = (bytes(overlay / "top"), bytes(overlay / "bottom"))
    with pytest.raises(NotReadableError):
        list(changes(Overlay(bytes(overlay / "upper"), lowers, marks=USER)))
    os.removexattr(overlay / "upper/e", "user.overlay.redirect")
    heeded = {
        each.before.path for each in changes(Overlay(bytes(overlay / "upper"), lowers, marks=USER)) if not each.now
    }
    assert heeded == {b"e/old", b"e/x"}


def test_attributes_of_users_are_told_by_name(overlay):
    make(overlay / "upper", "x")
    os.setxattr(overlay / "upper/x", "user.origin", b"here")
    os.setxattr(overlay / "upper/x", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    (change,) = changes(Overlay(bytes(overlay / "upper"), ()))
    assert change.now.foreign == (b"user.origin",)
    assert [name for name, _value in change.now.attributes] == [b"security.capability"]


def test_what_is_below_can_be_looked_at(overlay):
    make(overlay / "bottom", "d/old", "d/gone", "e/hidden")
    make(overlay / "top", "d/new", "e/x")
    whiteout(overlay / "top", "d/gone")
    opaque(overlay / "top", "e")
    (overlay / "top/d/link").symlink_to("/e")
    make(overlay / "upper", "d/mine")
    lower = Lower(Overlay(bytes(overlay / "upper"), (bytes(overlay / "top"), bytes(overlay / "bottom"))))
    assert {entry.path for entry in below(lower, b"")} == {b"d", b"d/old", b"d/new", b"d/link", b"e", b"e/x"}
    assert lower.get(b"d/link").target == b"/e"
    assert [lower.get(path) for path in (b"d/gone", b"d/link/x", b"d/old/x", b"none/x")] == [None] * 4
