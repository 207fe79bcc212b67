"""Upper and lower folders as the kernel writes them. Only root can make whiteouts and see marks."""

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


def change_kinds(overlay):
    """Map each changed path to the kind of its change."""
    folders = Overlay(bytes(overlay / "upper"), (bytes(overlay / "top"), bytes(overlay / "bottom")))
    words = {(True, False): "new", (True, True): "changed", (False, True): "gone"}
    kinds = [
        ((change.now or change.before).path.decode(), words[change.now is not None, change.before is not None])
        for change in changes(folders)
    ]
    assert len(dict(kinds)) == len(kinds)
    return dict(kinds)


def test_files_are_new_or_changed(overlay):
    make(overlay / "bottom", "etc/a", "etc/b")
    make(overlay / "upper", "etc/a", "etc/c")
    assert change_kinds(overlay) == {"etc": "changed", "etc/a": "changed", "etc/c": "new"}


def test_a_whiteout_counts_only_if_it_hides_something(overlay):
    make(overlay / "bottom", "a", "b")
    whiteout(overlay / "top", "b")
    for name in ("a", "b", "c"):
        whiteout(overlay / "upper", name)
    assert change_kinds(overlay) == {"a": "gone"}


def test_a_new_folder_hides_nothing(overlay):
    make(overlay / "upper", "new/x")
    opaque(overlay / "upper", "new")
    assert change_kinds(overlay) == {"new": "new", "new/x": "new"}


def test_a_recreated_folder_hides_its_former_content(overlay):
    make(overlay / "bottom", "d/a", "d/b", "d/sub/x", "d/sub/y")
    make(overlay / "top", "d/c", "d/sub/z")
    whiteout(overlay / "top", "d/b")
    make(overlay / "upper", "d/a", "d/sub/x")
    opaque(overlay / "upper", "d")
    assert change_kinds(overlay) == {
        "d": "changed",
        "d/a": "changed",
        "d/c": "gone",
        "d/sub": "changed",
        "d/sub/x": "changed",
        "d/sub/y": "gone",
        "d/sub/z": "gone",
    }


def test_an_opaque_folder_in_a_lower_layer_hides_the_layers_below_it(overlay):
    make(overlay / "bottom", "d/old")
    make(overlay / "top", "d/new")
    opaque(overlay / "top", "d")
    make(overlay / "upper", "d/old", "d/new")
    assert change_kinds(overlay) == {"d": "changed", "d/old": "new", "d/new": "changed"}


def test_a_file_and_a_folder_can_replace_each_other(overlay):
    make(overlay / "bottom", "file", "folder/x")
    make(overlay / "upper", "file/x", "folder")
    assert change_kinds(overlay) == {"file": "changed", "file/x": "new", "folder": "changed"}


def test_a_folder_over_a_file_hides_a_folder_in_a_lower_layer(overlay):
    make(overlay / "bottom", "p/x")
    make(overlay / "top", "p")
    make(overlay / "upper", "p/x")
    assert change_kinds(overlay) == {"p": "changed", "p/x": "new"}


@pytest.mark.parametrize(
    ("name", "value"), [("redirect", b"/elsewhere"), ("metacopy", b""), ("opaque", b"x"), ("whiteout", b"y")]
)
def test_marks_that_only_the_kernel_can_follow_are_rejected(overlay, name, value):
    make(overlay / "upper", "d/")
    os.setxattr(overlay / "upper/d", f"trusted.overlay.{name}", value)
    with pytest.raises(NotReadableError):
        change_kinds(overlay)


def test_harmless_marks_are_not_in_an_entry(overlay):
    make(overlay / "upper", "x")
    path = overlay / "upper/x"
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    marks = {"trusted.overlay.origin": b"o", "user.note": b"n", "security.capability": capability}
    for name, value in marks.items():
        os.setxattr(path, name, value)
    (change,) = changes(Overlay(bytes(overlay / "upper"), ()))
    assert change.now.attributes == ((b"security.capability", capability),)


def test_sockets_are_recognised(overlay):
    make(overlay / "bottom", "s")
    os.mknod(overlay / "upper/s", stat.S_IFSOCK | 0o600)
    os.mknod(overlay / "upper/t", stat.S_IFSOCK | 0o600)
    folders = Overlay(bytes(overlay / "upper"), (bytes(overlay / "bottom"),))
    assert {change.now.path: (change.now.kind, change.before is not None) for change in changes(folders)} == {
        b"s": (FileKind.SOCKET, True),
        b"t": (FileKind.SOCKET, False),
    }


def test_a_name_can_be_any_bytes(overlay):
    (overlay / "upper" / os.fsdecode(b"bad\xffname\n")).write_text("")
    (change,) = changes(Overlay(bytes(overlay / "upper"), ()))
    assert change.now.path == b"bad\xffname\n"


@pytest.mark.parametrize(("depth", "readable"), [(1200, True), (3000, False)])
def test_only_the_length_of_paths_limits_the_depth_of_a_tree(overlay, monkeypatch, depth, readable):
    monkeypatch.chdir(overlay / "upper")
    for _level in range(depth):
        Path("d").mkdir()
        os.chdir("d")
    os.chdir("/")
    try:
        result = changes(Overlay(bytes(overlay / "upper"), ()))
        if readable:
            assert max(len(change.now.path) for change in result) == 2 * depth - 1
        else:
            with pytest.raises(NotReadableError, match="File name too long"):
                list(result)
    finally:
        subprocess.run(["rm", "-rf", str(overlay / "upper")], check=True)  # too deep for the clean-up of pytest


def test_marks_that_the_mount_ignores_hide_nothing(overlay):
    """A parent or a role can leave marks of a different kind of mount. The kernel shows the lower layers then."""
    make(overlay / "bottom", "d/old", "e/old")
    make(overlay / "top", "d/", "e/x")
    os.setxattr(overlay / "top/d", "user.overlay.opaque", b"y")
    make(overlay / "upper", "e/new")
    os.setxattr(overlay / "upper/e", "user.overlay.opaque", b"y")
    os.setxattr(overlay / "upper/e", "user.overlay.redirect", b"/elsewhere")
    whiteout(overlay / "upper", "d/old")
    assert change_kinds(overlay) == {"d": "changed", "d/old": "gone", "e": "changed", "e/new": "new"}
    lowers = (bytes(overlay / "top"), bytes(overlay / "bottom"))
    with pytest.raises(NotReadableError):
        list(changes(Overlay(bytes(overlay / "upper"), lowers, marks=USER)))
    os.removexattr(overlay / "upper/e", "user.overlay.redirect")
    hidden = {
        change.before.path
        for change in changes(Overlay(bytes(overlay / "upper"), lowers, marks=USER))
        if not change.now
    }
    assert hidden == {b"e/old", b"e/x"}


def test_user_attributes_are_reported_by_name(overlay):
    make(overlay / "upper", "x")
    os.setxattr(overlay / "upper/x", "user.origin", b"here")
    os.setxattr(overlay / "upper/x", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    (change,) = changes(Overlay(bytes(overlay / "upper"), ()))
    assert change.now.foreign == (b"user.origin",)
    assert [name for name, _value in change.now.attributes] == [b"security.capability"]


def test_lower_layers_can_be_read(overlay):
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
