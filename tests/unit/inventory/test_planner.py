"""What a plan checks, and what it need not check again."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory import tier_key_parts

from .world import World

SPEC = "argument_specs: {main: {options: {web_port: {type: int}}}}\n"


@pytest.fixture
def world(tmp_path):
    (tmp_path / "inventories/shop").mkdir(parents=True)
    for folder in ("tasks", "meta", "defaults"):
        (tmp_path / "roles/web" / folder).mkdir(parents=True)
    (tmp_path / "roles/web/tasks/main.yml").write_text("[]\n")
    (tmp_path / "roles/web/meta/argument_specs.yml").write_text(SPEC)
    (tmp_path / "inventories/shop/chain.yml").write_text(
        "tiers: {children: {ops: {hosts: {base: {tier_bootstrap: {suite: trixie}}, web: {tier_parent: base}}}}}\n"
    )
    return World(tmp_path)


def test_a_role_is_checked_only_if_its_tier_is_built(world, monkeypatch):
    checked = []
    for name in ("check_role", "check_role_tier"):
        monkeypatch.setattr(tier_key_parts, name, lambda tier, *_rest: checked.append(tier))
    world.build()
    assert checked == ["web", "web"]
    checked.clear()
    world.decide()
    assert checked == []
    (world.folder / "roles/web/defaults/main.yml").write_text("web_port: 8080\n")
    world.decide()
    assert checked == ["web", "web"]


def test_whatever_a_check_reads_changes_the_key(world):
    """So a tier with a known key needs no check."""
    world.build()
    world.extra["web_port"] = "many"
    with pytest.raises(ChainError, match=r"tier 'web': variables of role web: .*web_port"):
        world.decide()
    world.extra.clear()
    (world.folder / "roles/web/meta/argument_specs.yml").write_text(SPEC.replace("}}}}", ", required: true}}}}"))
    with pytest.raises(ChainError, match=r"tier 'web': variables of role web: .*web_port"):
        world.decide()
    (world.folder / "roles/web/meta/argument_specs.yml").write_text(SPEC)
    (world.folder / "roles/web/defaults/main.yml").write_text("web_tier_config: [a]\n")
    with pytest.raises(ChainError, match="tier 'web': web_tier_config is"):
        world.decide()
