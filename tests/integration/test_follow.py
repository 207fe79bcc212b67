"""A team follows the tier that another team publishes in a registry."""

from __future__ import annotations

import pytest
import yaml

from .conftest import SHARED_BASE, WRITE
from .removal import remove_images

pytestmark = pytest.mark.once

CHANGED = WRITE + "\n- name: Write more\n  ansible.builtin.raw: echo two > /etc/more\n"


class Teams:
    """Operations publishes the tier `core`. Development follows it, and builds `app` on it."""

    def __init__(self, operations, development, registry, playbook):
        self.operations, self.development, self.playbook = operations, development, playbook
        self.image = f"{registry}/{operations.name}/core"
        operations.tier("core", WRITE, parent="base", image=self.image, config={"cmd": ["sh"]})
        development.tiers.clear()
        development.tier("core", follow={"image": self.image})
        development.tier("app", WRITE, parent="core")
        self.lock = development.folder / "chain.lock"

    def publish(self):
        """Build `core`, publish it, and remove it from the engine."""
        self.operations.build().expect()
        self.operations.build("--limit", "core", playbook="playbooks/publish.yml").expect()
        remove_images(self.operations.engine, f"reference={self.image}")

    def update(self, *options):
        return self.development.build(*options, playbook="playbooks/update.yml").expect()

    def locked(self):
        return yaml.safe_load(self.lock.read_text())["core"]


@pytest.fixture
def teams(tmp_path, make_chain, registry, playbook, engine):
    for name in ("operations", "development"):
        (tmp_path / name).mkdir()
    with make_chain(tmp_path / "operations") as operations, make_chain(tmp_path / "development") as development:
        teams = Teams(operations, development, registry, playbook)
        yield teams
        remove_images(engine, f"reference={development.name}/core")


def test_a_followed_tier_moves_only_with_the_lock_file(teams):
    teams.publish()
    development = teams.development
    missing = development.build("--check").expect(2)
    assert "chain.lock has no digest for it" in missing.message
    assert "tierwright update core" in missing.message

    teams.update()
    first = teams.locked()
    built = development.build().expect()
    assert f"core keep follows {teams.image}:latest" in built.message
    assert development.image("core").id == first["config"]
    assert development.image("app").labels["io.tierwright.parent"] == first["config"]
    assert development.run("app", "cat", "/etc/core", "/etc/app").split() == ["core", "app"]
    assert "changed=0" in development.build().expect().output

    teams.operations.tier("core", CHANGED, parent="base", image=teams.image, config={"cmd": ["sh"]})
    teams.publish()
    app = development.image("app").id
    development.build().expect()
    assert (development.image("core").id, development.image("app").id) == (first["config"], app)

    assert "/core:latest is" in teams.update("--check").message
    assert teams.locked() == first
    teams.update()
    second = teams.locked()
    assert second["digest"] != first["digest"]
    development.build().expect()
    assert development.image("core").id == second["config"]
    assert development.image("app").labels["io.tierwright.parent"] == second["config"]
    assert development.run("app", "cat", "/etc/more") == "two\n"

    development.build(playbook="playbooks/rollback.yml").expect()
    assert development.image("core").id == first["config"]
    assert development.image("app").id == app
    kept = development.build().expect()
    assert "was withdrawn by a rollback" in kept.message
    assert development.image("app").id == app

    published = development.build(playbook="playbooks/publish.yml").expect(2)
    assert "no selected tier names a registry" in published.message


def test_the_name_of_a_chain_on_the_same_engine_is_not_used(teams):
    teams.publish()
    teams.update()
    teams.development.tier("core", follow={"image": teams.image}, image=teams.image)
    refused = teams.development.build().expect(2)
    assert f"tier_image: {teams.development.name}/core" in refused.message
    assert SHARED_BASE not in refused.message
