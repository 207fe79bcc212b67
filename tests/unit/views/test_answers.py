"""What the verbs find out, on images made by hand."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import NotFoundError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.build_memory import (
    Task,
    Timeline,
    remember_tasks,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import FileEntry, FileKind
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.views.comparison import compare
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.views.layer_contents import FileCounts, list_layers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.views.ownership import blame
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.views.wasted_space import find_waste
from made_images import digest, layer, ours, step


def status(**packages):
    paragraphs = [
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n"
        for name, version in packages.items()
    ]
    return ("var/lib/dpkg/status", "\n".join(paragraphs).encode())


BASE = layer(status(ssl="1", old="1"), ("etc/motd", b"one"), ("usr/bin/ls", b"ls" * 50), ("bin", "-> usr/bin"))
CORE = layer(status(ssl="2", curl="7"), ("etc/motd", b"two"), ("usr/bin/.wh.ls", b""))
WEB = layer(("etc/motd", b"two"), ("srv/a", b"same" * 9), ("srv/b", b"same" * 9), ("srv/c", "=> srv/a"))
STEPS = [ours("base", "ops"), ours("core", "ops"), ours("web", "mid")]


@pytest.fixture
def stack(opened):
    return opened([BASE, CORE, WEB], STEPS)


def test_layers(stack):
    base, core, web = list_layers(stack).layers
    assert [each.layer.tier for each in (base, core, web)] == ["base", "core", "web"]
    assert base.files == FileCounts(4, 0, 0, 0)
    assert core.files == FileCounts(0, 2, 1, 0)
    assert web.files == FileCounts(3, 0, 0, 1)
    assert [(each.name, each.before, each.after) for each in core.packages] == [
        ("curl", None, "7"),
        ("old", "1", None),
        ("ssl", "1", "2"),
    ]
    assert [each.installed for each in (base, core, web)] == [2, 2, 2]
    assert web.size == 3 + 36 + 36


def test_blame_of_a_path(stack):
    told = blame(stack, "/etc/motd")
    assert (told.owner.tier, told.owner.team, told.present) == ("core", "ops", True)
    assert [(each.layer.tier, each.event, each.what) for each in told.story] == [
        ("base", "added", []),
        ("core", "changed", ["content"]),
        ("web", "repeated", []),
    ]


def test_blame_names_the_task_where_this_machine_built_the_layer(opened, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    task = Task("core", "Write it", "core/tasks/main.yml:1")
    built = [
        FileEntry(path, FileKind.FILE, 0o644, 0, 0, mtime=1, changed=2)
        for path in (b"etc/motd", b"var/lib/dpkg/info/curl:amd64.list")
    ]
    remember_tasks(digest(CORE), built, Timeline([(1, task)]))
    stack = opened([BASE, CORE, WEB], STEPS)
    assert [event.task for event in blame(stack, "/etc/motd").story] == [None, task, None]
    assert [event.task for event in blame(stack, "curl").story] == [task]
    assert [event.task for event in blame(stack, "ssl").story] == [None, None]


def test_blame_of_what_was_removed_follows_links(stack):
    told = blame(stack, "/bin/ls")
    assert told.subject == "/usr/bin/ls"
    assert (told.present, told.owner.tier) == (False, "core")


@pytest.mark.parametrize("name", ["ssl", "ssl:amd64"])
def test_blame_of_a_package(stack, name):
    told = blame(stack, name)
    assert (told.kind, told.owner.tier) == ("package", "core")
    assert [(each.layer.tier, each.event, each.package.after) for each in told.story] == [
        ("base", "added", "1"),
        ("core", "changed", "2"),
    ]


def test_blame_of_a_package_that_was_removed(stack):
    told = blame(stack, "old")
    assert (told.present, told.owner.tier) == (False, "core")


@pytest.mark.parametrize("subject", ["/etc/nothing", "nothing", "/"])
def test_blame_of_nothing(stack, subject):
    with pytest.raises(NotFoundError, match="no layer of image"):
        blame(stack, subject)


def test_blame_of_an_image_of_others(opened):
    told = blame(opened([BASE], [step("/bin/sh -c #(nop) ADD file:x in / ")]), "/etc/motd")
    assert told.owner.tier is None
    assert told.owner.called == "layer 1: /bin/sh -c #(nop) ADD file:x in / "


def test_diff_of_an_image_with_itself(stack):
    assert compare(stack, stack).is_empty


def test_diff_names_the_tier_that_is_the_cause(opened):
    new_core = layer(status(ssl="3", curl="7"), ("etc/motd", b"two", {"mode": 0o600, "uid": 3}))
    before = opened([BASE, CORE, WEB], STEPS, Env=["A=1", "B=2"], User="1", Labels={"x": "1"})
    after = opened([BASE, new_core], STEPS[:2], Env=["A=1", "C=3"], Cmd=["sh"], Labels={"x": "2"})
    told = compare(before, after)
    files = {tier.tier: {each.path: (each.change, each.what) for each in tier.files} for tier in told.tiers}
    assert files == {
        "base": {"usr/bin/ls": ("added", [])},
        "core": {"etc/motd": ("changed", ["mode", "owner"]), "var/lib/dpkg/status": ("changed", ["content"])},
        "web": {"srv/a": ("removed", []), "srv/b": ("removed", []), "srv/c": ("removed", [])},
    }
    assert [(each.name, each.before, each.after) for each in told.tiers[1].packages] == [("ssl", "2", "3")]
    assert [(each.name, each.before, each.after) for each in told.environment] == [("B", "2", None), ("C", None, "3")]
    assert [(each.name, each.before, each.after) for each in told.config] == [
        ("Cmd", None, ["sh"]),
        ("User", "1", None),
    ]
    assert [each.name for each in told.labels] == ["x"]


def test_diff_of_a_kind(opened):
    told = compare(opened([layer(("a", b"1"), ("l", "-> x"))]), opened([layer(("a", None), ("l", "-> y"))]))
    assert {each.path: each.what for tier in told.tiers for each in tier.files} == {
        "a": ["type", "mode"],
        "l": ["target"],
    }


def test_waste(stack):
    told = find_waste([stack])
    hidden = {(each.path, each.how, each.layer.tier, each.by.tier): each.size for each in told.hidden}
    old, new = len(status(ssl="1", old="1")[1]), len(status(ssl="2", curl="7")[1])
    assert hidden == {
        ("usr/bin/ls", "removed", "base", "core"): 100,
        ("var/lib/dpkg/status", "changed", "base", "core"): old,
        ("etc/motd", "changed", "base", "core"): 3,
        ("etc/motd", "repeated", "core", "web"): 3,
    }
    assert told.hidden_size == 100 + old + 3 + 3
    assert [(cause.layer.tier, cause.hides) for cause in told.causes] == [("core", 103 + old), ("web", 3)]
    assert [(each.wasted, [copy.path for copy in each.copies]) for each in told.duplicates] == [
        (36, ["srv/a", "srv/b"])
    ]
    assert told.size == old + 3 + 100 + new + 3 + 3 + 36 + 36


def test_bytes_with_another_name_are_not_hidden(opened):
    links = layer(("perl", b"perl"), ("perl5", "=> perl"))
    assert find_waste([opened([links, layer((".wh.perl", b""))])]).hidden == []
    assert find_waste([opened([links, layer((".wh.perl", b""), (".wh.perl5", b""))])]).hidden_size == 4


def test_siblings_that_could_share(opened):
    one = opened([BASE, layer(("srv/one", b"library"))], STEPS[:2])
    two = opened([BASE, layer(("opt/two", b"library"))], STEPS[:2])
    told = find_waste([one, two])
    assert [(each.wasted, sorted(copy.path for copy in each.copies)) for each in told.duplicates] == [
        (7, ["opt/two", "srv/one"])
    ]
    assert find_waste([one, one]).duplicates == []
