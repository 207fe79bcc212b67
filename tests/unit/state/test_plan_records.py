"""The plan of each tier, written to the journal and read back."""

from __future__ import annotations

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.source_version import Commit
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import (
    Bootstrap,
    Cage,
    Import,
    Pull,
    Tier,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import (
    BuildOrigin,
    read_plan,
    read_plans,
    write_plan,
)


@pytest.fixture
def journal(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Journal.begin("demo")


@pytest.mark.parametrize(
    "source", [Bootstrap("bookworm", packages=("a",)), Import("/x", "sha256:1"), Pull("a@sha256:1")]
)
def test_a_plan_can_be_read_back(journal, source, make_tier):
    base = Tier("base", "ops", "base", "latest", source=source)
    write_plan(journal, "demo", Decision(base, Action.BUILD, ("why",), None, {"a": "b"}), None)
    web = msgspec.structs.replace(make_tier("web", "base"), cage=Cage(("KILL",), 1 << 30, 100))
    write_plan(journal, "demo", Decision(web, Action.LEAVE, (), "sha256:1", {}), "web")
    chain, planned = read_plans(journal)
    assert chain.order == ("base", "web")
    assert (planned["base"].tier, planned["web"].tier) == (base, web)
    assert (planned["base"].action, planned["base"].parts, planned["base"].chain) == (Action.BUILD, {"a": "b"}, "demo")
    assert (planned["web"].action, planned["web"].image, planned["web"].role) == (Action.LEAVE, "sha256:1", "web")


def test_the_rules_of_a_layer_and_the_commit_of_the_role_can_be_read_back(journal, make_tier):
    tier = make_tier("web", "base", drop=("a/*", "b"), keep=("c",), epoch=5)
    commit = Commit("0123456789abcdef", 7, clean=False)
    write_plan(journal, "demo", Decision(tier, Action.BUILD, (), None, {}), "web", BuildOrigin(commit))
    planned = read_plan(journal, "web")
    assert (planned.tier, planned.commit) == (tier, commit)


@pytest.mark.parametrize("role", ["httpd_php", "httpd-php", "a.b.httpd_php", "/some/where.d/roles/httpd_php"])
def test_the_variable_with_the_image_settings_of_a_role(journal, role, make_tier):
    write_plan(journal, "demo", Decision(make_tier("web", "base"), Action.BUILD, (), None, {}), role)
    assert read_plan(journal, "web").config_variables == ("httpd_php_tier_config",)


def test_a_tier_without_a_plan_is_an_error(journal):
    with pytest.raises(RunError, match="does not contain tier 'nobody'"):
        read_plan(journal, "nobody")
