"""Surveys of Ansible's real inventory, with a registry in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.survey import WorkKind, ask_survey
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.watcher import InventoryWatcher
from fake_registry import fake_registry
from published_images import publish, tier_layer

ROOT = Path(__file__).parents[3]
BASE = tier_layer(1)
CHAIN = """
tiers:
  vars: {tier_chain: shop, watch_follow: true, watch_candidates: true, watch_listen: "{{ '127.0.0.1' }}:0"}
  children:
    operations:
      hosts:
        corebuild: {tier_follow: {image: "HOST/ops/corebuild", tag: stable}}
    development:
      hosts:
        app: {tier_parent: corebuild, tier_image: "HOST/dev/app"}
"""


@pytest.fixture(scope="module")
def shared_registry():
    with fake_registry() as registry:
        yield registry


@pytest.fixture
def registry(shared_registry, monkeypatch, tmp_path):
    """A registry with an image, and an inventory that follows it."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "DOCKER_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(ROOT / "collections"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///none/docker.sock")
    monkeypatch.chdir(tmp_path)
    shared_registry.tags.clear()
    publish(shared_registry, "ops/corebuild", "stable", [BASE, tier_layer(2)])
    (tmp_path / "chain.yml").write_text(CHAIN.replace("HOST", shared_registry.host))
    return shared_registry


def survey(*arguments):
    return ask_survey(["-i", "chain.yml", *arguments], print, lambda: False)


def reasons(found):
    return {need.kind: list(need.reasons) for need in found.needs}


def test_a_release_and_a_candidate_are_found(registry):
    first = survey()
    assert first.settings.follow
    assert first.repositories == [f"{registry.host}/ops/corebuild"]
    assert "not locked yet" in reasons(first)[WorkKind.FOLLOW][0]
    assert "is not locked yet, so its candidates cannot be tried" in first.problems[0]
    CliRunner().invoke(tierwright, ["update", "-i", "chain.yml"])
    second = survey()
    assert (second.problems, reasons(second)) == ([], {WorkKind.FOLLOW: []})
    manifest, _config = publish(registry, "ops/corebuild", "candidate", [BASE, tier_layer(3)])
    third = survey()
    assert "no verdict of app" in reasons(third)[WorkKind.TRY][0]
    assert third.needs[-1].subject == {"corebuild": manifest}
    publish(registry, "ops/corebuild", "stable", [BASE, tier_layer(4)])
    assert "locked is" in reasons(survey("-e", "watch_candidates=no"))[WorkKind.FOLLOW][0]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"watch_follow": False, "watch_candidates": False}, "there is nothing to watch"),
        ({"watch_deploy": True, "deploy_images": {"web": "x"}}, "deploy_images has the unknown keys web"),
        ({"watch_deploy": True, "deploy_images": {"web": "x"}, "deploy_render_to": "/srv"}, "deploy_render_to is set"),
    ],
)
@pytest.mark.usefixtures("registry")
def test_wrong_variables_are_one_sentence(variables, sentence):
    with pytest.raises(ChainError, match=sentence):
        survey("-e", json.dumps(variables))


def test_an_engine_that_does_not_answer_is_a_problem(registry, tmp_path):
    images = dict.fromkeys(("wordpress", "mariadb", "haproxy"), f"{registry.host}/ops/corebuild:stable")
    (tmp_path / "site.yml").write_text(json.dumps({"all": {"vars": {"watch_deploy": True, "deploy_images": images}}}))
    found = ask_survey(["-i", "site.yml"], print, lambda: False)
    assert (found.needs, found.uses_engine) == ([], True)
    assert "no container engine answers" in found.problems[0]


@pytest.mark.usefixtures("registry")
def test_without_tiers_nothing_can_be_followed(tmp_path):
    (tmp_path / "site.yml").write_text(json.dumps({"all": {"vars": {"watch_follow": True}}}))
    with pytest.raises(ChainError, match="the inventory has no tiers"):
        ask_survey(["-i", "site.yml"], print, lambda: False)


@pytest.mark.usefixtures("registry")
def test_the_command_compares_once(monkeypatch):
    monkeypatch.setattr(InventoryWatcher, "_start", lambda _self, _survey: False)
    result = CliRunner().invoke(tierwright, ["watch", "--once", "-i", "chain.yml", "-e", "watch_candidates=no"])
    assert (result.exit_code, result.output) == (0, "")
    result = CliRunner().invoke(tierwright, ["watch", "--once", "--", "-J"])
    assert "asks for a password" in result.stderr
