"""Protected paths, with trees in memory: every change of a protected path is detected, and no other change."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Protection
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import SealError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer import protected_paths
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.build_memory import Task, Timeline
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.cleaner import Cleaner, layer_entries
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import (
    FileEntry,
    FileKind,
    KnownTree,
    PathChange,
    parent,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.paths import matcher
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.protected_paths import Guard
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.symlinks import walk

OWNER = Protection("corebuild", "operations", ("etc/ssl",))


def entry(path, node):
    """Make an entry: `None` is a folder, a number the mode of a folder, `-> x` a link, any other text a file."""
    mode, node = (node, None) if isinstance(node, int) else (0o755, node)
    if node is None:
        return FileEntry(path, FileKind.DIRECTORY, mode, 0, 0, 1)
    if node.startswith("-> "):
        return FileEntry(path, FileKind.SYMLINK, 0o777, 0, 0, 1, target=os.fsencode(node.removeprefix("-> ")))
    return FileEntry(path, FileKind.FILE, 0o644, 0, 0, 1, len(node), content=node.encode())


def tree(**nodes):
    return {path.encode(): entry(path.encode(), node) for path, node in nodes.get("of", {}).items()}


def differences(before, now):
    """Yield changes as readers of build containers do: for a removed folder, only its own path."""
    for path, new in now.items():
        yield PathChange(new, before.get(path))
    for path, old in before.items():
        folder = parent(path)
        if path not in now and (not folder or (folder in now and now[folder].kind is FileKind.DIRECTORY)):
            yield PathChange(None, old)


def find_touches(before, now, *patterns, drop=()):
    changes = list(differences(before, now))
    guard = Guard([Protection("corebuild", "operations", patterns)], KnownTree(before))
    return guard.find_touches(layer_entries(changes, Cleaner(None, drop)), changes)


BEFORE = {
    "bin": "-> usr/bin",
    "etc": None,
    "etc/motd": "hello",
    "etc/ssl": None,
    "etc/ssl/certs": None,
    "etc/ssl/certs/a.pem": "a",
    "etc/ssl/openssl.cnf": "conf",
    "srv": None,
    "usr": None,
    "usr/bin": None,
    "usr/bin/su": "su",
}


def below(folder):
    return [path for path in BEFORE if path == folder or path.startswith(f"{folder}/")]


def after(remove=(), **changed):
    nodes = {path: node for path, node in BEFORE.items() if path not in remove}
    return tree(of={**nodes, **changed.get("to", {})})


@pytest.mark.parametrize(
    ("pattern", "now", "expected"),
    [
        ("etc/ssl", after(to={"etc/ssl/new": "x"}), [("etc/ssl/new", "created")]),
        ("etc/ssl", after(to={"etc/ssl/openssl.cnf": "evil"}), [("etc/ssl/openssl.cnf", "changed")]),
        ("etc/ssl", after(to={"etc/ssl": 0o700}), [("etc/ssl", "changed")]),
        ("etc/ssl", after(["etc/ssl/openssl.cnf"]), [("etc/ssl/openssl.cnf", "removed")]),
        ("etc/ssl", after(below("etc/ssl/certs")), [("etc/ssl/certs", "removed")]),
        ("etc/ssl", after(below("etc")), [("etc", "removed")]),
        ("etc/ssl", after(below("etc"), to={"etc": "-> srv"}), [("etc", "replaced")]),
        (
            "etc/ssl/certs",
            after(below("etc/ssl/certs"), to={"etc/ssl/certs": "-> /srv"}),
            [("etc/ssl/certs", "replaced")],
        ),
        ("bin/su", after(to={"usr/bin/su": "evil"}), [("usr/bin/su", "changed")]),
        ("bin/su", after(to={"bin": None, "bin/su": "evil"}), [("bin", "replaced")]),
        ("bin/su", after(to={"bin": None}), [("bin", "replaced")]),
        ("opt/app/key", after(to={"opt": "-> srv"}), [("opt", "created")]),
        ("etc/*/*/a.pem", after(below("etc/ssl")), [("etc/ssl/certs/a.pem", "removed with /etc/ssl")]),
        ("srv/*/a.pem", after(to={"srv/new": "-> /etc/ssl/certs"}), [("srv/new", "created")]),
        ("**/a.pem", after(below("etc/ssl")), [("etc/ssl/certs/a.pem", "removed with /etc/ssl")]),
    ],
)
def test_a_change_of_a_protected_path_is_detected(pattern, now, expected):
    assert [(touch.path.decode(), touch.how) for touch in find_touches(tree(of=BEFORE), now, pattern)] == expected


@pytest.mark.parametrize(
    ("pattern", "now"),
    [
        ("etc/ssl", after()),
        ("etc/ssl", after(to={"etc/sslx": "x", "srv/etc": None, "srv/etc/ssl": "x"})),
        ("etc/ssl", after(to={"etc": 0o700})),
        ("etc/ssl/*.cnf", after(below("etc/ssl/certs"))),
        ("**/b.pem", after(below("etc/ssl/certs"))),
        ("bin/su", after(to={"usr/bin/other": "x"})),
        ("opt/app/key", after(to={"opt": None, "opt/app": None})),
        ("srv/*/b.pem", after(to={"srv/new": "-> /etc/ssl/certs"})),
    ],
)
def test_other_paths_may_change(pattern, now):
    assert find_touches(tree(of=BEFORE), now, pattern) == []


def test_a_left_out_path_is_not_a_touch():
    now = after(to={"etc/ssl/private": None, "etc/ssl/private/key": "x"})
    assert find_touches(tree(of=BEFORE), now, "etc/ssl", drop=["etc/ssl/private"]) == []


def test_a_hard_link_to_a_protected_file_is_a_touch():
    before = tree(of=BEFORE)
    motd = replace(before[b"etc/motd"], inode=7)
    now = {**before, b"etc/motd": motd, b"srv/x": replace(motd, path=b"srv/x")}
    [touch] = find_touches(before, now, "etc/motd")
    assert (touch.path, touch.how) == (b"etc/motd", "linked as /srv/x")


NAMES = st.sampled_from([b"a", b"b", b"c", b"\xff", b"*"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
TARGETS = st.builds(lambda up, path: up + os.fsdecode(path), st.sampled_from(["", "/", "../", "../../"]), PATHS)
NODES = st.one_of(
    st.none(), st.sampled_from([0o700, 0o750]), st.sampled_from(["x", "y"]), TARGETS.map(lambda target: f"-> {target}")
)
TREES = st.dictionaries(PATHS, NODES, max_size=8)
PATTERNS = st.lists(st.sampled_from(["a", "b", "c", "*", "?", "**", "[ab]"]), min_size=1, max_size=3).map("/".join)


def make_tree(nodes, base=None):
    """Make a tree of nodes. A node below something that is not a folder is ignored."""
    entries = dict(base or {})
    for path in sorted(nodes):
        folders = [b"/".join(path.split(b"/")[:depth]) for depth in range(1, path.count(b"/") + 1)]
        if all(entries.get(folder, entry(folder, None)).kind is FileKind.DIRECTORY for folder in folders):
            entries = {name: old for name, old in entries.items() if not name.startswith(path + b"/")}
            entries |= {folder: entry(folder, None) for folder in folders if folder not in entries}
            entries[path] = entry(path, nodes[path])
    return entries


def without(entries, removed):
    tops = tuple(top + b"/" for top in removed)
    return {path: old for path, old in entries.items() if not (path + b"/").startswith(tops)}


MAX_LINKS = 6


def visible(entries, pattern):
    """Return everything that a program can see at or below the paths that match a pattern."""
    parts = pattern.split("/")
    return {
        name + b"/" + path[len(top) :]: replace(visible_entry, path=b"", mtime=0)
        for name, top in find_matches(entries, b"", parts, [])
        for path, visible_entry in entries.items()
        if path == top or path.startswith(top + b"/")
    }


def find_matches(entries, folder, parts, visited):
    """Yield the matches of a pattern, also those behind links: the name to open, and the real path."""
    if not parts:
        yield b"", folder
        return
    for path in {path for path in entries if parent(path) == folder}:
        name = path.rpartition(b"/")[2]
        rests = [parts[1:]] if matcher([parts[0]])(name) else []
        if parts[0] == "**":
            rests = [parts, parts[1:]]
        for rest in rests:
            if len(visited) > MAX_LINKS or (path, rest) in visited:
                continue
            real = os.fsencode(walk(os.fsdecode(path), lambda link: link_target(entries, link))[-1].strip("/"))
            if real != path or entries[path].kind is FileKind.DIRECTORY or not rest:
                for below_it, top in find_matches(entries, real, rest, [*visited, (path, rest)]):
                    yield name + b"/" + below_it, top


def link_target(entries, path):
    link = entries.get(os.fsencode(path.strip("/")))
    return os.fsdecode(link.target) if link is not None and link.kind is FileKind.SYMLINK else None


@given(TREES, TREES, st.lists(PATHS, max_size=2), PATTERNS)
@example({b"a/b": "x"}, {}, [b"a"], "**")
@example({b"a/b": "-> /b", b"b/c": "x"}, {b"b/c": "y"}, [], "a/*/c")
@example({b"a/b": "-> /b", b"b/c": "x"}, {b"b/c": "y"}, [], "a/*")
@example({b"a/a": None}, {b"b": "-> a"}, [], "*/a")
@example({b"a/b/c": "-> /b", b"b/c": "x"}, {b"b/c": "y"}, [], "a/**/c")
@example({b"a": "-> b", b"b/c": "x"}, {b"a/c": "y"}, [b"a"], "a/c")
def test_every_change_of_protected_paths_is_detected(nodes, new_nodes, removed, pattern):
    before = make_tree(nodes)
    now = make_tree(new_nodes, without(before, removed))
    if visible(before, pattern) != visible(now, pattern):
        assert find_touches(before, now, pattern)


@given(TREES, TREES, st.lists(PATHS, max_size=2), PATTERNS)
def test_every_touch_is_a_real_change(nodes, new_nodes, removed, pattern):
    before = make_tree(nodes)
    now = make_tree(new_nodes, without(before, removed))
    for touch in find_touches(before, now, pattern):
        assert before.get(touch.path) != now.get(touch.path)
        assert (touch.pattern, touch.owner.tier) == (pattern, "corebuild")


def rejection(now, *protections, timeline=None):
    changes = list(differences(tree(of=BEFORE), now))
    with pytest.raises(SealError) as failure:
        protected_paths.check(
            protections,
            origin=KnownTree(tree(of=BEFORE)),
            entries=layer_entries(changes, Cleaner(None)),
            changes=changes,
            timeline=timeline or Timeline(),
        )
    return str(failure.value)


def test_the_message_names_path_owner_and_pattern():
    now = after(["etc/motd"], to={"etc/ssl/new\n": "x"})
    assert rejection(now, OWNER, Protection("web", "middleware", ("etc/motd",))).startswith(
        "its role changed protected paths: /etc/motd (removed); only tier 'web' of team middleware may write "
        "/etc/motd; /etc/ssl/new\\n (created); only tier 'corebuild' of team operations may write /etc/ssl. "
    )


def test_the_message_names_the_task_if_it_is_known():
    now = after(to={"etc/ssl/new": "x"})
    new = b"etc/ssl/new"
    now[new] = replace(now[new], changed=15)
    tasks = [(moment, Task("web", name, "web/tasks/main.yml:7")) for moment, name in ((10, "Trust us"), (20, "Else"))]
    message = rejection(now, OWNER, timeline=Timeline(tasks))
    assert "/etc/ssl/new (created by task 'Trust us' (web/tasks/main.yml:7)); only tier" in message


def test_a_long_list_of_paths_is_shortened():
    message = rejection(after(to={f"etc/ssl/{number}": "x" for number in range(5)}), OWNER)
    assert "/etc/ssl/2 (created) and 2 more; only tier" in message


def test_nothing_is_checked_if_no_path_is_protected():
    protected_paths.check((), origin=KnownTree({}), entries=[], changes=[], timeline=Timeline())
