"""The settings of an image come from the inventory or the role, never from a container."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.variable_digests import (
    check_facts,
    check_settings,
    digest_play,
    digest_settings,
)

CONFIG = {"cmd": ["run"], "env": {"A": "b"}}
ROLE_VARIABLES = {"tier_config": "web_tier_config", "tier_protects": "web_tier_protects"}
TEMPLATES = {
    "web_tier_config": {"env": {"PORT": "{{ web_port }}", "HOST": "{{ web_host | default(ansible_hostname) }}"}},
    "web_tier_protects": ["{{ web_folder }}/conf"],
    "web_folder": "{{ web_root }}",
    "web_root": "/srv",
    "web_port": 80,
}


def check(planned, now):
    settings = {name: now.get(name) for name in ROLE_VARIABLES}
    check_settings("web", digest_settings(planned), settings, now, ROLE_VARIABLES)


@pytest.mark.parametrize("settings", [{}, {"tier_config": CONFIG}, {"tier_protects": ["/etc"]}, {"tier_config": None}])
def test_unchanged_settings_are_accepted(settings):
    check(settings, settings)


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
def test_a_setting_that_changed_after_the_plan_is_rejected(planned, now, name):
    with pytest.raises(ChainError, match=rf"tier 'web': {name} .*the run was planned.*web_{name}"):
        check(planned, now)


@pytest.mark.parametrize(
    ("fact", "rejected"),
    [
        ("tier_config", True),
        ("tier_protects", True),
        ("tier_test_timeout", True),
        ("web_tier_config", True),
        ("web_tier_protects", True),
        ("web_port", True),
        ("web_root", True),  # used in web_folder
        ("web_host", False),  # set nowhere else, so it is a fact of the role
        ("web_other", False),  # not used in the settings of the image
        ("packages", False),
        ("hostname", False),
    ],
)
def test_a_fact_that_overrides_a_setting_is_rejected(fact, rejected):
    def check_fact():
        own = ("web_tier_config", "web_tier_protects")
        check_facts(
            "web", {fact: "x"}, own, now=TEMPLATES, configured=("web_port", "web_root", "web_other", "packages")
        )

    if rejected:
        with pytest.raises(ChainError, match=rf"tier 'web': the result of a module set {fact} as a fact"):
            check_fact()
    else:
        check_fact()


def test_a_fact_from_a_cache_is_rejected_with_a_hint():
    with pytest.raises(ChainError, match="--flush-cache"):
        check_facts("web", {"tier_drop": ["etc"], "distribution": "Debian"})


def test_variables_that_ansible_adds_to_a_play_are_not_in_the_key():
    assert digest_play({"played": 1, "_task": object(), "omit": 1, "ansible_play_name": "x"}, {}).keys() == {
        "variable/played"
    }
