"""The answers of the verbs, on images that the tests make."""

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
from made_images import digest, layer, step, tier_step


def status(**packages):
    paragraphs = [
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n"
        for name, version in packages.items()
    ]
    return ("var/lib/dpkg/status", "\n".join(paragraphs).encode())


BASE = layer(status(ssl="1", old="1"), ("etc/motd", b"one"), ("usr/bin/ls", b"ls" * 50), ("bin", "-> usr/bin"))
CORE = layer(status(ssl="2", curl="7"), ("etc/motd", b"two"), ("usr/bin/.wh.ls", b""))
WEB = layer(("etc/motd", b"two"), ("srv/a", b"same" * 9), ("srv/b", b"same" * 9), ("srv/c", "=> srv/a"))
STEPS = [tier_step("base", "ops"), tier_step("core", "ops"), tier_step("web", "mid")]


@pytest.fixture
def stack(open_image):
    return open_image([BASE, CORE, WEB], STEPS)


def test_the_contents_of_layers_are_counted(stack):
    base, core, web = list_layers(stack).layers
    assert [contents.layer.tier for contents in (base, core, web)] == ["base", "core", "web"]
    assert base.files == FileCounts(4, 0, 0, 0)
    assert core.files == FileCounts(0, 2, 1, 0)
    assert web.files == FileCounts(3, 0, 0, 1)
    assert [(package.name, package.before, package.after) for package in core.packages] == [
        ("curl", None, "7"),
        ("old", "1", None),
        ("ssl", "1", "2"),
    ]
    assert [contents.installed for contents in (base, core, web)] == [2, 2, 2]
    assert web.size == 3 + 36 + 36


def test_blame_of_a_path(stack):
    answer = blame(stack, "/etc/motd")
    assert (answer.owner.tier, answer.owner.team, answer.present) == ("core", "ops", True)
    assert [(change.layer.tier, change.event, change.what) for change in answer.story] == [
        ("base", "added", []),
        ("core", "changed", ["content"]),
        ("web", "repeated", []),
    ]


def test_blame_names_the_task_if_this_machine_built_the_layer(open_image, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    task = Task("core", "Write it", "core/tasks/main.yml:1")
    entries = [
        FileEntry(path, FileKind.FILE, 0o644, 0, 0, mtime=1, changed=2)
        for path in (b"etc/motd", b"var/lib/dpkg/info/curl:amd64.list")
    ]
    remember_tasks(digest(CORE), entries, Timeline([(1, task)]))
    stack = open_image([BASE, CORE, WEB], STEPS)
    assert [change.task for change in blame(stack, "/etc/motd").story] == [None, task, None]
    assert [change.task for change in blame(stack, "curl").story] == [task]
    assert [change.task for change in blame(stack, "ssl").story] == [None, None]


def test_blame_of_a_removed_file_follows_links(stack):
    answer = blame(stack, "/bin/ls")
    assert answer.subject == "/usr/bin/ls"
    assert (answer.present, answer.owner.tier) == (False, "core")


@pytest.mark.parametrize("name", ["ssl", "ssl:amd64"])
def test_blame_of_a_package(stack, name):
    answer = blame(stack, name)
    assert (answer.kind, answer.owner.tier) == ("package", "core")
    assert [(change.layer.tier, change.event, change.package.after) for change in answer.story] == [
        ("base", "added", "1"),
        ("core", "changed", "2"),
    ]


def test_blame_of_a_removed_package(stack):
    answer = blame(stack, "old")
    assert (answer.present, answer.owner.tier) == (False, "core")


@pytest.mark.parametrize("subject", ["/etc/nothing", "nothing", "/"])
def test_blame_of_an_unknown_subject_is_an_error(stack, subject):
    with pytest.raises(NotFoundError, match="no layer of image"):
        blame(stack, subject)


def test_blame_of_an_image_without_tiers(open_image):
    answer = blame(open_image([BASE], [step("/bin/sh -c #(nop) ADD file:x in / ")]), "/etc/motd")
    assert answer.owner.tier is None
    assert answer.owner.called == "layer 1: /bin/sh -c #(nop) ADD file:x in / "


def test_an_image_has_no_difference_from_itself(stack):
    assert compare(stack, stack).is_empty


def test_diff_names_the_tier_that_causes_a_difference(open_image):
    new_core = layer(status(ssl="3", curl="7"), ("etc/motd", b"two", {"mode": 0o600, "uid": 3}))
    before = open_image([BASE, CORE, WEB], STEPS, Env=["A=1", "B=2"], User="1", Labels={"x": "1"})
    after = open_image([BASE, new_core], STEPS[:2], Env=["A=1", "C=3"], Cmd=["sh"], Labels={"x": "2"})
    difference = compare(before, after)
    files = {tier.tier: {file.path: (file.change, file.what) for file in tier.files} for tier in difference.tiers}
    assert files == {
        "base": {"usr/bin/ls": ("added", [])},
        "core": {"etc/motd": ("changed", ["mode", "owner"]), "var/lib/dpkg/status": ("changed", ["content"])},
        "web": {"srv/a": ("removed", []), "srv/b": ("removed", []), "srv/c": ("removed", [])},
    }
    assert [(package.name, package.before, package.after) for package in difference.tiers[1].packages] == [
        ("ssl", "2", "3")
    ]
    assert [(variable.name, variable.before, variable.after) for variable in difference.environment] == [
        ("B", "2", None),
        ("C", None, "3"),
    ]
    assert [(setting.name, setting.before, setting.after) for setting in difference.config] == [
        ("Cmd", None, ["sh"]),
        ("User", "1", None),
    ]
    assert [label.name for label in difference.labels] == ["x"]


def test_diff_reports_a_different_type_or_target(open_image):
    difference = compare(
        open_image([layer(("a", b"1"), ("l", "-> x"))]), open_image([layer(("a", None), ("l", "-> y"))])
    )
    assert {file.path: file.what for tier in difference.tiers for file in tier.files} == {
        "a": ["type", "mode"],
        "l": ["target"],
    }


def test_hidden_and_duplicate_files_are_waste(stack):
    waste = find_waste([stack])
    hidden = {(file.path, file.how, file.layer.tier, file.by.tier): file.size for file in waste.hidden}
    old, new = len(status(ssl="1", old="1")[1]), len(status(ssl="2", curl="7")[1])
    assert hidden == {
        ("usr/bin/ls", "removed", "base", "core"): 100,
        ("var/lib/dpkg/status", "changed", "base", "core"): old,
        ("etc/motd", "changed", "base", "core"): 3,
        ("etc/motd", "repeated", "core", "web"): 3,
    }
    assert waste.hidden_size == 100 + old + 3 + 3
    assert [(cause.layer.tier, cause.hides) for cause in waste.causes] == [("core", 103 + old), ("web", 3)]
    assert [(duplicate.wasted, [copy.path for copy in duplicate.copies]) for duplicate in waste.duplicates] == [
        (36, ["srv/a", "srv/b"])
    ]
    assert waste.size == old + 3 + 100 + new + 3 + 3 + 36 + 36


def test_content_with_a_remaining_hard_link_is_not_hidden(open_image):
    links = layer(("perl", b"perl"), ("perl5", "=> perl"))
    assert find_waste([open_image([links, layer((".wh.perl", b""))])]).hidden == []
    assert find_waste([open_image([links, layer((".wh.perl", b""), (".wh.perl5", b""))])]).hidden_size == 4


def test_files_that_siblings_could_share_are_waste(open_image):
    one = open_image([BASE, layer(("srv/one", b"library"))], STEPS[:2])
    two = open_image([BASE, layer(("opt/two", b"library"))], STEPS[:2])
    waste = find_waste([one, two])
    assert [(duplicate.wasted, sorted(copy.path for copy in duplicate.copies)) for duplicate in waste.duplicates] == [
        (7, ["opt/two", "srv/one"])
    ]
    assert find_waste([one, one]).duplicates == []
