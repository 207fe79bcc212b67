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


def laid(*layers):
    """The file system, and what the last layer does to each path."""
    so_far = FileSystem()
    changes = []
    for each in layers:
        changes = so_far.add(index(io.BytesIO(each), "a layer"))
    return so_far, {change.path: change.kind for change in changes}


def paths(so_far):
    return {owned.entry.path: owned.layer for owned in so_far.files()}


BASE = layer(("etc/", None), ("etc/motd", b"one"), ("etc/ssl/", None), ("etc/ssl/a", b"a"), ("etc/ssl/b", b"b"))


def test_added_changed_repeated():
    so_far, did = laid(BASE, layer(("etc/motd", b"two"), ("etc/new", b""), ("etc/ssl/a", b"a")))
    assert did == {"etc/motd": ChangeKind.CHANGED, "etc/new": ChangeKind.ADDED, "etc/ssl/a": ChangeKind.REPEATED}
    assert paths(so_far) == {"etc": 0, "etc/motd": 1, "etc/new": 1, "etc/ssl": 0, "etc/ssl/a": 1, "etc/ssl/b": 0}


def test_a_mode_or_an_owner_is_a_change():
    _, did = laid(BASE, layer(("etc/motd", b"one", {"mode": 0o600}), ("etc/", None, {"uid": 5}), ("etc/ssl/", None)))
    assert did == {"etc": ChangeKind.CHANGED, "etc/motd": ChangeKind.CHANGED}


def test_a_whiteout_takes_all_that_is_below():
    so_far, did = laid(BASE, layer(("etc/.wh.ssl", b""), ("etc/.wh.never-there", b"")))
    assert did == dict.fromkeys(["etc/ssl", "etc/ssl/a", "etc/ssl/b"], ChangeKind.REMOVED)
    assert sorted(paths(so_far)) == ["etc", "etc/motd"]


def test_a_whiteout_never_takes_what_its_own_layer_brings():
    for entries in ([("etc/.wh.motd", b""), ("etc/motd", b"two")], [("etc/motd", b"two"), ("etc/.wh.motd", b"")]):
        so_far, did = laid(BASE, layer(*entries))
        assert did == {"etc/motd": ChangeKind.CHANGED}
        assert so_far.find("etc/motd").layer == 1


def test_an_opaque_folder_keeps_only_what_its_layer_brings():
    so_far, did = laid(BASE, layer(("etc/ssl/", None), ("etc/ssl/.wh..wh..opq", b""), ("etc/ssl/b", b"b")))
    assert did == {"etc/ssl/a": ChangeKind.REMOVED, "etc/ssl/b": ChangeKind.REPEATED}
    assert paths(so_far)["etc/ssl"] == 0


def test_an_opaque_root():
    so_far, _ = laid(BASE, layer((".wh..wh..opq", b""), ("new", b"")))
    assert sorted(paths(so_far)) == ["new"]


def test_a_file_in_the_place_of_a_folder_and_back():
    so_far, did = laid(BASE, layer(("etc/ssl", b"file")))
    assert did == {"etc/ssl": ChangeKind.CHANGED, "etc/ssl/a": ChangeKind.REMOVED, "etc/ssl/b": ChangeKind.REMOVED}
    so_far, did = laid(BASE, layer(("etc/ssl", b"file")), layer(("etc/ssl/a", b"a")))
    assert did == {"etc/ssl": ChangeKind.REMOVED, "etc/ssl/a": ChangeKind.ADDED}
    assert "etc/ssl/b" not in paths(so_far)


def test_one_path_twice_in_a_layer():
    so_far, did = laid(BASE, layer(("etc/motd", b"two"), ("etc/motd", b"three")))
    assert did == {"etc/motd": ChangeKind.CHANGED}
    assert so_far.find("etc/motd").entry.size == 5


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
def test_links_among_the_parents_are_followed(path, real):
    links = layer(("bin", "-> usr/bin"), ("usr/bin/ls", b""), ("up", "-> /usr/../etc"), ("loop", "-> loop"))
    assert laid(links)[0].resolved(path) == real


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@st.composite
def trees(draw):
    """A file system as paths to content; what is not named as a folder is one where something lies below it."""
    files = draw(st.dictionaries(PATHS, st.binary(max_size=1), max_size=6))
    return {path: text for path, text in files.items() if not any(other.startswith(path + "/") for other in files)}


def folders(tree):
    return {"/".join(path.split("/")[: number + 1]) for path in tree for number in range(path.count("/"))}


def difference(before, after):
    """The layer that makes one tree of another, as builders write it."""
    folders = {path.rpartition("/")[0] for path in after}
    inside = {
        "/".join(folder.split("/")[: n + 1]) for folder in folders if folder for n in range(folder.count("/") + 1)
    }
    was = {"/".join(path.split("/")[: n + 1]) for path in before for n in range(path.count("/"))} | set(before)
    gone = {path for path in was if path not in after and path not in inside}
    top = {path for path in gone if not any(path.startswith(f"{other}/") for other in gone | set(after))}
    entries = [(path, text) for path, text in after.items() if before.get(path) != text]
    whiteouts = [(f"{head}{slash}.wh.{name}", b"") for head, slash, name in (each.rpartition("/") for each in top)]
    return layer(*whiteouts, *entries)


@given(st.lists(trees(), min_size=1, max_size=5))
def test_layers_of_any_history_are_its_last_state(states):
    so_far = FileSystem()
    before = {}
    for number, after in enumerate(states):
        changes = so_far.add(index(io.BytesIO(difference(before, after)), "a layer"))
        assert {change.path for change in changes if change.kind == ChangeKind.ADDED} == after.keys() - before.keys()
        assert {change.path for change in changes if change.kind == ChangeKind.REMOVED} == before.keys() - after.keys()
        found = {owned.entry.path: owned for owned in so_far.files() if owned.entry.kind != DIRECTORY}
        assert found.keys() == after.keys()
        for path in after:
            if before.get(path) != after[path]:
                assert found[path].layer == number
        before = after
