"""What a layer may not touch, over trees in memory: every change of what is protected is seen, and nothing else is."""

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


def entry(path, said):
    """One path: `None` is a folder, `-> x` a link, another text a file's content; a number is a mode."""
    mode, said = (said, None) if isinstance(said, int) else (0o755, said)
    if said is None:
        return FileEntry(path, FileKind.DIRECTORY, mode, 0, 0, 1)
    if said.startswith("-> "):
        return FileEntry(path, FileKind.SYMLINK, 0o777, 0, 0, 1, target=os.fsencode(said.removeprefix("-> ")))
    return FileEntry(path, FileKind.FILE, 0o644, 0, 0, 1, len(said), content=said.encode())


def tree(**said):
    return {path.encode(): entry(path.encode(), each) for path, each in said.get("of", {}).items()}


def differences(before, now):
    """What readers of build containers tell: of a folder that is gone, its own path only."""
    for path, each in now.items():
        yield PathChange(each, before.get(path))
    for path, each in before.items():
        above = parent(path)
        if path not in now and (not above or (above in now and now[above].kind is FileKind.DIRECTORY)):
            yield PathChange(None, each)


def touched(before, now, *patterns, drop=()):
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
    kept = {path: each for path, each in BEFORE.items() if path not in remove}
    return tree(of={**kept, **changed.get("to", {})})


@pytest.mark.parametrize(
    ("pattern", "now", "told"),
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
def test_what_became_of_a_protected_path_is_told(pattern, now, told):
    assert [(touch.path.decode(), touch.how) for touch in touched(tree(of=BEFORE), now, pattern)] == told


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
def test_other_paths_are_everybody_s(pattern, now):
    assert touched(tree(of=BEFORE), now, pattern) == []


def test_what_the_layer_leaves_out_touches_nothing():
    now = after(to={"etc/ssl/private": None, "etc/ssl/private/key": "x"})
    assert touched(tree(of=BEFORE), now, "etc/ssl", drop=["etc/ssl/private"]) == []


def test_another_name_of_a_protected_file_is_a_touch():
    before = tree(of=BEFORE)
    motd = replace(before[b"etc/motd"], inode=7)
    now = {**before, b"etc/motd": motd, b"srv/x": replace(motd, path=b"srv/x")}
    [touch] = touched(before, now, "etc/motd")
    assert (touch.path, touch.how) == (b"etc/motd", "linked as /srv/x")


NAMES = st.sampled_from([b"a", b"b", b"c", b"\xff", b"*"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
TARGETS = st.builds(lambda up, path: up + os.fsdecode(path), st.sampled_from(["", "/", "../", "../../"]), PATHS)
NODES = st.one_of(
    st.none(), st.sampled_from([0o700, 0o750]), st.sampled_from(["x", "y"]), TARGETS.map(lambda target: f"-> {target}")
)
TREES = st.dictionaries(PATHS, NODES, max_size=8)
PATTERNS = st.lists(st.sampled_from(["a", "b", "c", "*", "?", "**", "[ab]"]), min_size=1, max_size=3).map("/".join)


def grown(said, base=None):
    """A tree of what is said: what stands on something else than a folder is not there."""
    found = dict(base or {})
    for path in sorted(said):
        folders = [b"/".join(path.split(b"/")[:depth]) for depth in range(1, path.count(b"/") + 1)]
        if all(found.get(folder, entry(folder, None)).kind is FileKind.DIRECTORY for folder in folders):
            found = {each: kept for each, kept in found.items() if not each.startswith(path + b"/")}
            found |= {folder: entry(folder, None) for folder in folders if folder not in found}
            found[path] = entry(path, said[path])
    return found


def without(found, gone):
    tops = tuple(top + b"/" for top in gone)
    return {path: each for path, each in found.items() if not (path + b"/").startswith(tops)}


LINKS = 6


def seen(found, pattern):
    """All that a program sees that opens the paths of a pattern: what is there, and below it."""
    parts = pattern.split("/")
    return {
        named + b"/" + path[len(top) :]: replace(each, path=b"", mtime=0)
        for named, top in opened(found, b"", parts, [])
        for path, each in found.items()
        if path == top or path.startswith(top + b"/")
    }


def opened(found, folder, parts, passed):
    """By the name that a program opens it by, the real path of all that a pattern names, behind links as well."""
    if not parts:
        yield b"", folder
        return
    for path in {path for path in found if parent(path) == folder}:
        name = path.rpartition(b"/")[2]
        rests = [parts[1:]] if matcher([parts[0]])(name) else []
        if parts[0] == "**":
            rests = [parts, parts[1:]]
        for rest in rests:
            if len(passed) > LINKS or (path, rest) in passed:
                continue
            real = os.fsencode(walk(os.fsdecode(path), lambda each: link(found, each))[-1].strip("/"))
            if real != path or found[path].kind is FileKind.DIRECTORY or not rest:
                for below_it, top in opened(found, real, rest, [*passed, (path, rest)]):
                    yield name + b"/" + below_it, top


def link(found, path):
    it = found.get(os.fsencode(path.strip("/")))
    return os.fsdecode(it.target) if it is not None and it.kind is FileKind.SYMLINK else None


@given(TREES, TREES, st.lists(PATHS, max_size=2), PATTERNS)
@example({b"a/b": "x"}, {}, [b"a"], "**")
@example({b"a/b": "-> /b", b"b/c": "x"}, {b"b/c": "y"}, [], "a/*/c")
@example({b"a/b": "-> /b", b"b/c": "x"}, {b"b/c": "y"}, [], "a/*")
@example({b"a/a": None}, {b"b": "-> a"}, [], "*/a")
@example({b"a/b/c": "-> /b", b"b/c": "x"}, {b"b/c": "y"}, [], "a/**/c")
@example({b"a": "-> b", b"b/c": "x"}, {b"a/c": "y"}, [b"a"], "a/c")
def test_no_change_of_what_is_protected_goes_unseen(said, changed, gone, pattern):
    before = grown(said)
    now = grown(changed, without(before, gone))
    if seen(before, pattern) != seen(now, pattern):
        assert touched(before, now, pattern)


@given(TREES, TREES, st.lists(PATHS, max_size=2), PATTERNS)
def test_what_is_told_was_touched(said, changed, gone, pattern):
    before = grown(said)
    now = grown(changed, without(before, gone))
    for touch in touched(before, now, pattern):
        assert before.get(touch.path) != now.get(touch.path)
        assert (touch.pattern, touch.owner.tier) == (pattern, "corebuild")


def refused(now, *protections, timeline=None):
    changes = list(differences(tree(of=BEFORE), now))
    with pytest.raises(SealError) as told:
        protected_paths.check(
            protections,
            origin=KnownTree(tree(of=BEFORE)),
            entries=layer_entries(changes, Cleaner(None)),
            changes=changes,
            timeline=timeline or Timeline(),
        )
    return str(told.value)


def test_the_refusal_names_path_owner_and_pattern():
    now = after(["etc/motd"], to={"etc/ssl/new\n": "x"})
    assert refused(now, OWNER, Protection("web", "middleware", ("etc/motd",))).startswith(
        "its role changed protected paths: /etc/motd (removed); only tier 'web' of team middleware may write "
        "/etc/motd; /etc/ssl/new\\n (created); only tier 'corebuild' of team operations may write /etc/ssl. "
    )


def test_the_refusal_names_the_task_where_it_is_known():
    now = after(to={"etc/ssl/new": "x"})
    new = b"etc/ssl/new"
    now[new] = replace(now[new], changed=15)
    tasks = [(moment, Task("web", name, "web/tasks/main.yml:7")) for moment, name in ((10, "Trust us"), (20, "Else"))]
    told = refused(now, OWNER, timeline=Timeline(tasks))
    assert "/etc/ssl/new (created by task 'Trust us' (web/tasks/main.yml:7)); only tier" in told


def test_many_paths_are_counted():
    told = refused(after(to={f"etc/ssl/{number}": "x" for number in range(5)}), OWNER)
    assert "/etc/ssl/2 (created) and 2 more; only tier" in told


def test_nothing_is_asked_where_nothing_is_protected():
    protected_paths.check((), origin=KnownTree({}), entries=[], changes=[], timeline=Timeline())
