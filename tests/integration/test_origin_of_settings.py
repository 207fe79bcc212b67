"""What decides an image comes from the inventory and the role, never out of the build container."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.once

#: A module that answers with facts, as what runs in a build container may make any module do.
ANSWER = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"facts": {"type": "dict"}})
module.exit_json(changed=False, ansible_facts=module.params["facts"])
"""

#: By tier: what its role's tasks do, and the variable that is told.
INTRUSIONS = {
    "config": ("answer: {facts: {tier_config: {cmd: [evil]}}}", "a module's answer set tier_config as a fact"),
    "protects": ("answer: {facts: {tier_protects: []}}", "a module's answer set tier_protects as a fact"),
    "own": ("answer: {facts: {own_tier_config: {cmd: [evil]}}}", "a module's answer set own_tier_config as a fact"),
    "below": ("answer: {facts: {below_command: evil}}", "a module's answer set below_command as a fact"),
    "task": ("ansible.builtin.set_fact: {tier_config: {cmd: [evil]}}", "tier_config has another value than when"),
}


def test_what_a_module_answers_never_decides_what_an_image_is_like(small_chain):
    for name, (task, _told) in INTRUSIONS.items():
        small_chain.tier(name, f"- name: Intrude\n  {task}\n", parent="base", protects=["/etc/motd"])
        role = small_chain.folder / "roles" / name
        for folder in ("library", "defaults"):
            (role / folder).mkdir()
        (role / "library/answer.py").write_text(ANSWER)
        defaults = f"{name}_tier_config: {{cmd: ['{{{{ {name}_command }}}}']}}\n{name}_command: good\n"
        (role / "defaults/main.yml").write_text(defaults)
    for name in ("config", "protects", "task"):
        small_chain.tiers[name]["tier_config"] = {"cmd": ["good"]}
    failed = small_chain.build().expect(2)
    for name, (_task, told) in INTRUSIONS.items():
        assert f"tier '{name}': {told}" in failed.message
        assert not small_chain.released(name)
