"""An image's settings are the inventory's or the role's: nothing that a container answers decides them."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.variable_digests import (
    check_facts,
    check_settings,
    digest_settings,
)

CONFIG = {"cmd": ["run"], "env": {"A": "b"}}
OF_ROLE = {"tier_config": "web_tier_config", "tier_protects": "web_tier_protects"}
TEMPLATES = {
    "web_tier_config": {"env": {"PORT": "{{ web_port }}", "HOST": "{{ web_host | default(ansible_hostname) }}"}},
    "web_tier_protects": ["{{ web_folder }}/conf"],
    "web_folder": "{{ web_root }}",
    "web_root": "/srv",
    "web_port": 80,
}


def check(planned, now):
    said = {name: now.get(name) for name in OF_ROLE}
    check_settings("web", digest_settings(planned), said, now, OF_ROLE)


@pytest.mark.parametrize("same", [{}, {"tier_config": CONFIG}, {"tier_protects": ["/etc"]}, {"tier_config": None}])
def test_settings_of_the_plan_are_accepted(same):
    check(same, same)


@pytest.mark.parametrize(
    ("planned", "now", "name"),
    [
        ({"tier_config": CONFIG}, {"tier_config": {**CONFIG, "cmd": ["evil"]}}, "tier_config"),
        ({"tier_config": CONFIG}, {}, "tier_config"),
        ({}, {"tier_config": {}}, "tier_config"),
        ({}, {"tier_protects": []}, "tier_protects"),
        ({"tier_protects": ["/etc"]}, {"tier_protects": []}, "tier_protects"),
        ({"tier_protects": ["/etc"]}, {"tier_protects": None}, "tier_protects"),
    ],
)
def test_a_setting_that_changed_after_the_plan_is_refused(planned, now, name):
    with pytest.raises(ChainError, match=rf"tier 'web': {name} .*the run was planned.*web_{name}"):
        check(planned, now)


@pytest.mark.parametrize(
    ("fact", "refused"),
    [
        ("tier_config", True),
        ("tier_protects", True),
        ("tier_test_timeout", True),
        ("web_tier_config", True),
        ("web_tier_protects", True),
        ("web_port", True),
        ("web_root", True),  # by way of web_folder
        ("web_host", False),  # nobody else says it: it is the role's own fact
        ("web_other", False),  # says nothing of the image's settings
        ("packages", False),
        ("hostname", False),
    ],
)
def test_a_fact_that_overrides_a_setting_is_refused(fact, refused):
    def look():
        own = ("web_tier_config", "web_tier_protects")
        check_facts(
            "web", {fact: "x"}, own, now=TEMPLATES, configured=("web_port", "web_root", "web_other", "packages")
        )

    if refused:
        with pytest.raises(ChainError, match=rf"tier 'web': the result of a module set {fact} as a fact"):
            look()
    else:
        look()


def test_a_fact_from_a_cache_is_refused_before_anything_is_built():
    with pytest.raises(ChainError, match="--flush-cache"):
        check_facts("web", {"tier_drop": ["etc"], "distribution": "Debian"})
