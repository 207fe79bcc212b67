"""Several roles in one tier: one layer, merged settings, and the tests of each role."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

from .conftest import WRITE

FIRST = WRITE.replace("/etc/{{ inventory_hostname }}", "/etc/first")
SECOND = """
- name: Use what the first role made, and its default
  ansible.builtin.raw: cp /etc/first /etc/second && echo {{ first_word }} >> /etc/second
"""
DEFAULTS = {
    "first": {
        "first_word": "hello",
        "first_tier_config": {"cmd": ["sleep", "60"], "env": {"WHO": "first"}},
        "first_tier_protects": ["/etc/first"],
    },
    "second": {"second_tier_config": {"env": {"WHO": "second and $WHO"}}, "second_tier_protects": ["/etc/second"]},
}
TEST = """
def test_{role}(host):
    assert host.file("/etc/{role}").exists
"""


@pytest.mark.once
def test_roles_of_one_tier_share_a_layer(small_chain):
    small_chain.tier("first", FIRST, parent="base").tier("second", SECOND, parent="base")
    for role, values in DEFAULTS.items():
        (small_chain.folder / f"roles/{role}/defaults").mkdir()
        (small_chain.folder / f"roles/{role}/defaults/main.yml").write_text(yaml.safe_dump(values))
        small_chain.tests(role, TEST.format(role=role))
    del small_chain.tiers["first"], small_chain.tiers["second"]
    small_chain.tier("web", parent="base", roles=["first", "second"])
    built = small_chain.build().expect()
    assert "2 tests" in built.output
    image = small_chain.image("web")
    assert len(image.attrs["RootFS"]["Layers"]) == 2
    assert "WHO=second and first" in image.attrs["Config"]["Env"]
    assert image.attrs["Config"]["Cmd"] == ["sleep", "60"]
    assert (image.labels[labels.ROLE], image.history()[0]["CreatedBy"]) == (
        "first, second",
        "tierwright: tier web: roles first, second",
    )
    assert '"paths":["etc/first","etc/second"]' in image.labels[labels.PROTECTS]
    assert small_chain.run("web", "cat", "/etc/second") == "web\nhello\n"
    tasks = small_chain.folder / "roles/second/tasks/main.yml"
    tasks.write_text(tasks.read_text() + "\n# changed\n")
    assert "role second/tasks/main.yml changed" in small_chain.build("--check").expect().output
