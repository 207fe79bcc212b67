from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.entries import DIRECTORY
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import index
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.merged_files import (
    ChangeKind,
    FileSystem,
)
from made_images import layer


def merge(*layers):
    """Return the file system, and the kind of change of each path in the last layer."""
    file_system = FileSystem()
    changes = []
    for content in layers:
        changes = file_system.add(index(io.BytesIO(content), "a layer"))
    return file_system, {change.path: change.kind for change in changes}


def layer_numbers(file_system):
    return {owned.entry.path: owned.layer for owned in file_system.files()}


BASE = layer(("etc/", None), ("etc/motd", b"one"), ("etc/ssl/", None), ("etc/ssl/a", b"a"), ("etc/ssl/b", b"b"))


def test_a_file_is_added_changed_or_repeated():
    file_system, kinds = merge(BASE, layer(("etc/motd", b"two"), ("etc/new", b""), ("etc/ssl/a", b"a")))
    assert kinds == {"etc/motd": ChangeKind.CHANGED, "etc/new": ChangeKind.ADDED, "etc/ssl/a": ChangeKind.REPEATED}
    assert layer_numbers(file_system) == {
        "etc": 0,
        "etc/motd": 1,
        "etc/new": 1,
        "etc/ssl": 0,
        "etc/ssl/a": 1,
        "etc/ssl/b": 0,
    }


def test_a_new_mode_or_owner_is_a_change():
    _, kinds = merge(BASE, layer(("etc/motd", b"one", {"mode": 0o600}), ("etc/", None, {"uid": 5}), ("etc/ssl/", None)))
    assert kinds == {"etc": ChangeKind.CHANGED, "etc/motd": ChangeKind.CHANGED}


def test_a_whiteout_removes_everything_below_it():
    file_system, kinds = merge(BASE, layer(("etc/.wh.ssl", b""), ("etc/.wh.never-there", b"")))
    assert kinds == dict.fromkeys(["etc/ssl", "etc/ssl/a", "etc/ssl/b"], ChangeKind.REMOVED)
    assert sorted(layer_numbers(file_system)) == ["etc", "etc/motd"]


def test_a_whiteout_never_removes_entries_of_its_own_layer():
    for entries in ([("etc/.wh.motd", b""), ("etc/motd", b"two")], [("etc/motd", b"two"), ("etc/.wh.motd", b"")]):
        file_system, kinds = merge(BASE, layer(*entries))
        assert kinds == {"etc/motd": ChangeKind.CHANGED}
        assert file_system.find("etc/motd").layer == 1


def test_an_opaque_folder_has_only_entries_of_its_own_layer():
    file_system, kinds = merge(BASE, layer(("etc/ssl/", None), ("etc/ssl/.wh..wh..opq", b""), ("etc/ssl/b", b"b")))
    assert kinds == {"etc/ssl/a": ChangeKind.REMOVED, "etc/ssl/b": ChangeKind.REPEATED}
    assert layer_numbers(file_system)["etc/ssl"] == 0


def test_an_opaque_root_hides_all_lower_layers():
    file_system, _ = merge(BASE, layer((".wh..wh..opq", b""), ("new", b"")))
    assert sorted(layer_numbers(file_system)) == ["new"]


def test_a_file_can_replace_a_folder_and_become_a_folder_again():
    file_system, kinds = merge(BASE, layer(("etc/ssl", b"file")))
    assert kinds == {"etc/ssl": ChangeKind.CHANGED, "etc/ssl/a": ChangeKind.REMOVED, "etc/ssl/b": ChangeKind.REMOVED}
    file_system, kinds = merge(BASE, layer(("etc/ssl", b"file")), layer(("etc/ssl/a", b"a")))
    assert kinds == {"etc/ssl": ChangeKind.REMOVED, "etc/ssl/a": ChangeKind.ADDED}
    assert "etc/ssl/b" not in layer_numbers(file_system)


def test_the_last_entry_for_a_path_in_a_layer_counts():
    file_system, kinds = merge(BASE, layer(("etc/motd", b"two"), ("etc/motd", b"three")))
    assert kinds == {"etc/motd": ChangeKind.CHANGED}
    assert file_system.find("etc/motd").entry.size == 5


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("/bin/ls", "usr/bin/ls"),
        ("bin/../bin/./ls", "usr/bin/ls"),
        ("/bin", "bin"),
        ("/up/passwd", "etc/passwd"),
        ("/loop/x", "loop/x"),
        ("/no/such", "no/such"),
        ("/../..", ""),
    ],
)
def test_links_in_parent_folders_are_followed(path, real):
    links = layer(("bin", "-> usr/bin"), ("usr/bin/ls", b""), ("up", "-> /usr/../etc"), ("loop", "-> loop"))
    assert merge(links)[0].resolved(path) == real


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@st.composite
def trees(draw):
    """Make a file system: paths with content. The folders above the paths exist too."""
    files = draw(st.dictionaries(PATHS, st.binary(max_size=1), max_size=6))
    return {path: text for path, text in files.items() if not any(other.startswith(path + "/") for other in files)}


def folders(tree):
    return {"/".join(path.split("/")[: number + 1]) for path in tree for number in range(path.count("/"))}


def difference(before, after):
    """Return the layer that turns one tree into another, as builders write it."""
    folders = {path.rpartition("/")[0] for path in after}
    inside = {
        "/".join(folder.split("/")[: number + 1])
        for folder in folders
        if folder
        for number in range(folder.count("/") + 1)
    }
    old_paths = {"/".join(path.split("/")[: number + 1]) for path in before for number in range(path.count("/"))} | set(
        before
    )
    removed = {path for path in old_paths if path not in after and path not in inside}
    top = {path for path in removed if not any(path.startswith(f"{other}/") for other in removed | set(after))}
    entries = [(path, text) for path, text in after.items() if before.get(path) != text]
    whiteouts = [(f"{head}{slash}.wh.{name}", b"") for head, slash, name in (path.rpartition("/") for path in top)]
    return layer(*whiteouts, *entries)


@given(st.lists(trees(), min_size=1, max_size=5))
def test_merged_layers_are_the_last_state(states):
    file_system = FileSystem()
    before = {}
    for number, after in enumerate(states):
        changes = file_system.add(index(io.BytesIO(difference(before, after)), "a layer"))
        assert {change.path for change in changes if change.kind == ChangeKind.ADDED} == after.keys() - before.keys()
        assert {change.path for change in changes if change.kind == ChangeKind.REMOVED} == before.keys() - after.keys()
        files = {owned.entry.path: owned for owned in file_system.files() if owned.entry.kind != DIRECTORY}
        assert files.keys() == after.keys()
        for path in after:
            if before.get(path) != after[path]:
                assert files[path].layer == number
        before = after
