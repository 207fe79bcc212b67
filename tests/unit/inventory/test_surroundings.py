"""Task files around a role, and proxies: what counts, and what is wrong."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.file_digests import Projects
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.rebuild_reasons import differences
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.task_files import digest_task_files
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import proxies


@pytest.fixture
def tier(tmp_path, make_tier):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/ca.yml").write_text("- ansible.builtin.debug:\n")
    (tmp_path / "empty.yml").write_text("---\n")

    def make(before=("tasks/ca.yml", "empty.yml"), after=()):
        paths = [tuple(str(tmp_path / each) for each in some) for some in (before, after)]
        return make_tier("web", "base", before=paths[0], after=paths[1])

    return make


def test_files_and_their_order_are_parts_of_the_key(tier, tmp_path):
    projects = Projects([tmp_path])
    now = digest_task_files(tier(), projects)
    assert list(now) == ["before/1 tasks/ca.yml", "before/2 empty.yml"]
    assert digest_task_files(tier(before=("empty.yml", "tasks/ca.yml")), projects).keys().isdisjoint(now)
    assert "after/1 empty.yml" in digest_task_files(tier(after=("empty.yml",)), projects)
    (tmp_path / "tasks/ca.yml").write_text("- ansible.builtin.ping:\n")
    changed = digest_task_files(tier(), projects)
    assert list(differences(now, changed)) == ["tier_before 1 tasks/ca.yml changed"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "which is not a file; a relative path begins at the inventory's folder"),
        ("a: 1", "which does not contain a list of tasks"),
        ("- text", "which does not contain a list of tasks"),
        ("- [", "which cannot be read"),
    ],
)
def test_what_is_no_task_file_is_told_in_the_plan(tier, tmp_path, content, told):
    if content is not None:
        (tmp_path / "x.yml").write_text(content)
    with pytest.raises(ChainError, match=rf"^tier 'web': tier_after names \S+/x.yml, {told}"):
        digest_task_files(tier(after=("x.yml",)), Projects([tmp_path]))


def test_proxies_are_passed_on_where_asked_for_only(monkeypatch):
    for name in (
        "http_proxy",
        "HTTPS_PROXY",
        "no_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "ftp_proxy",
        "FTP_PROXY",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("HTTPS_PROXY", "proxy:3128")
    monkeypatch.setenv("no_proxy", "me@home,.example")
    assert proxies("web", None) == proxies("web", "no") == {}
    assert proxies("web", "yes") == {
        "http_proxy": "http://proxy:3128",
        "HTTPS_PROXY": "proxy:3128",
        "no_proxy": "me@home,.example",
    }


@pytest.mark.parametrize("address", ["http://me:secret@proxy:3128", "me:secret@proxy:3128"])
def test_a_proxy_s_password_is_not_shown_to_whoever_lists_processes(monkeypatch, address):
    monkeypatch.setenv("https_proxy", address)
    with pytest.raises(ChainError, match="tier 'web': tier_proxy passes https_proxy to tasks") as told:
        proxies("web", "true")
    assert "secret" not in str(told.value)


def test_a_value_that_is_no_truth_value_is_told():
    with pytest.raises(ChainError, match="tier 'web': tier_proxy is 'http://x'; expected true or false"):
        proxies("web", "http://x")
