"""The task files before and after a role, and proxies: key parts and messages."""

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
        paths = [tuple(str(tmp_path / name) for name in names) for names in (before, after)]
        return make_tier("web", "base", before=paths[0], after=paths[1])

    return make


def test_task_files_and_their_order_are_key_parts(tier, tmp_path):
    projects = Projects([tmp_path])
    parts = digest_task_files(tier(), projects)
    assert list(parts) == ["before/1 tasks/ca.yml", "before/2 empty.yml"]
    assert digest_task_files(tier(before=("empty.yml", "tasks/ca.yml")), projects).keys().isdisjoint(parts)
    assert "after/1 empty.yml" in digest_task_files(tier(after=("empty.yml",)), projects)
    (tmp_path / "tasks/ca.yml").write_text("- ansible.builtin.ping:\n")
    changed = digest_task_files(tier(), projects)
    assert list(differences(parts, changed)) == ["tier_before 1 tasks/ca.yml changed"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "which is not a file; a relative path begins at the inventory's folder"),
        ("a: 1", "which does not contain a list of tasks"),
        ("- text", "which does not contain a list of tasks"),
        ("- [", "which cannot be read"),
    ],
)
def test_an_invalid_task_file_is_rejected(tier, tmp_path, content, message):
    if content is not None:
        (tmp_path / "x.yml").write_text(content)
    with pytest.raises(ChainError, match=rf"^tier 'web': tier_after names \S+/x.yml, {message}"):
        digest_task_files(tier(after=("x.yml",)), Projects([tmp_path]))


def test_proxies_are_passed_on_only_if_requested(monkeypatch):
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
def test_a_proxy_with_a_password_is_rejected(monkeypatch, address):
    monkeypatch.setenv("https_proxy", address)
    with pytest.raises(ChainError, match="tier 'web': tier_proxy passes https_proxy to tasks") as failure:
        proxies("web", "true")
    assert "secret" not in str(failure.value)


def test_tier_proxy_must_be_a_boolean():
    with pytest.raises(ChainError, match="tier 'web': tier_proxy is 'http://x'; expected true or false"):
        proxies("web", "http://x")
