"""One small chain from its first build to a second release and back. `make quick` runs it."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.once

WRITE = """
- name: Say VERSION
  ansible.builtin.copy: {content: "VERSION\\n", dest: /etc/said, mode: "0644"}
"""
CONTRACT = """
    import pytest

    @pytest.mark.contract
    def test_it_says_something(host):
        assert host.file("/etc/said").content_string.strip()
"""


def test_a_chain_is_built_tested_promoted_rolled_back_and_pruned(small_chain):
    small_chain.tier("one", WRITE.replace("VERSION", "first"), parent="base")
    small_chain.tier("two", "- ansible.builtin.file: {path: /srv/two, state: touch, mode: '0644'}\n", parent="one")
    small_chain.tests("one", CONTRACT).build().expect()
    first = {tier: small_chain.image(tier).id for tier in ("one", "two")}
    assert small_chain.run("two", "cat", "/etc/said") == "first\n"

    small_chain.tier("one", WRITE.replace("VERSION", "second"), parent="base")
    plan = small_chain.build("--check").expect()
    assert re.search(r"one +build +role one/tasks/main.yml changed", plan.output)
    result = small_chain.build().expect()
    assert re.search(r"two +\S+/two:latest .* built, 1 tests? passed$", result.output, re.MULTILINE)
    assert small_chain.run("two", "cat", "/etc/said") == "second\n"
    assert small_chain.build().expect().output.count("keep   nothing changed") == len(small_chain.tiers)

    small_chain.build(playbook="playbooks/rollback.yml").expect()
    assert {tier: small_chain.image(tier).id for tier in first} == first
    small_chain.build("-e", "tier_keep_releases=1", playbook="playbooks/prune.yml").expect()
    assert small_chain.run("two", "cat", "/etc/said") == "first\n"
