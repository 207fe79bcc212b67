"""A machine that has built nothing takes a chain from the registry where another machine has published it."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

from .removal import remove_images

pytestmark = pytest.mark.once

ROLE = """
- name: Use something that is known only after the role was applied
  ansible.builtin.raw: echo {{ lookup('ansible.builtin.env', 'TWTEST_COLOUR') }} > /etc/colour
"""
TESTS = """
    def test_the_file_is_there(host):
        assert host.file("/etc/colour").exists
"""


@pytest.fixture
def chain(small_chain, registry, engine):
    name = f"{registry}/{small_chain.name}"
    small_chain.tiers["base"]["tier_image"] = f"{name}/base"
    small_chain.tier("one", ROLE, parent="base", image=f"{name}/one", config={"cmd": ["sh"]})
    small_chain.tests("one", TESTS)
    yield small_chain
    remove_images(engine, f"reference={name}/*")


def test_a_second_machine_builds_nothing(chain, engine, tmp_path):
    blue = {"TWTEST_COLOUR": "blue"}
    first = chain.build("-e", "tier_publish=true", "-e", "tier_shared_cache=write", env=blue).expect()
    assert "1 test passed" in first.message
    built = {tier: chain.image(tier).id for tier in chain.tiers}

    def second_machine(colour, *options):
        """Build with an engine that has no image of the chain, and without a state."""
        remove_images(engine, f"label={labels.CHAIN}={chain.name}")
        state = tmp_path / colour
        return chain.build(
            "-e",
            "tier_shared_cache=read",
            *options,
            env={"TWTEST_COLOUR": colour, "XDG_STATE_HOME": str(state)},
        )

    planned = second_machine("blue", "--check").expect()
    assert planned.message.count("keep built elsewhere, from the shared cache") == 2
    assert engine.images.list(filters={"label": f"{labels.CHAIN}={chain.name}"}) == []

    taken = second_machine("blue").expect()
    assert "Apply the role" not in taken.output
    assert "test passed" not in taken.output
    assert {tier: chain.image(tier).id for tier in chain.tiers} == built
    assert chain.run("one", "cat", "/etc/colour") == "blue\n"

    changed = second_machine("red").expect()
    assert "one build there is no image" in changed.message
    assert chain.image("base").id == built["base"]
    assert chain.run("one", "cat", "/etc/colour") == "red\n"
