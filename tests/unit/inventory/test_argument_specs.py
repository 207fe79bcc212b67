from __future__ import annotations

import pytest
from ansible.errors import AnsibleError

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.argument_specs import (
    RoleArguments,
    check_config,
    check_protects,
    check_role,
    check_role_tier,
    read_arguments,
)

SPEC = """
argument_specs:
  main:
    short_description: Web
    options:
      web_port: {type: int, default: 80, description: Port.}
      web_mode: {type: str, choices: [a, b], required: true}
"""


@pytest.fixture
def role(tmp_path):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/argument_specs.yml").write_text(SPEC)
    return tmp_path


def test_valid_variables_are_accepted(role):
    check_role("web", "web", read_arguments(role), {"web_port": "8080", "web_mode": "a", "unrelated": object()})


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"web_mode": "a", "web_port": "many"}, "web_port"),
        ({"web_mode": "c"}, "web_mode"),
        ({}, "web_mode"),
    ],
)
def test_an_invalid_variable_is_reported_with_tier_and_role(role, variables, message):
    with pytest.raises(ChainError, match=f"tier 'shop': variables of role web: .*{message}"):
        check_role("shop", "web", read_arguments(role), variables)


def test_a_variable_with_a_role_default_is_not_missing(role):
    (role / "defaults").mkdir()
    (role / "defaults/main.yml").write_text("web_mode: a\n")
    check_role("web", "web", read_arguments(role), {})


def test_a_default_that_needs_facts_is_not_checked(tmp_path):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/argument_specs.yml").write_text(
        "argument_specs: {main: {options: {x: {type: bool, default: \"{{ ansible_facts['x'] }}\"},"
        " y: {type: dict, options: {z: {type: int, default: '{{ z }}'}}}}}}"
    )
    check_role("web", "web", read_arguments(tmp_path), {"y": {}})


def test_a_value_that_needs_facts_is_left_to_ansible(role):
    class Variables(dict):
        def __getitem__(self, key):
            if key == "web_mode":
                raise AnsibleError("undefined")
            return super().__getitem__(key)

    check_role("web", "web", read_arguments(role), Variables(web_mode="{{ ansible_facts['x'] }}"))


def test_an_option_with_apply_defaults_is_checked_even_if_it_is_not_set(tmp_path):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/argument_specs.yml").write_text(
        "argument_specs: {main: {options: {x: {type: dict, apply_defaults: true, options: {y: {required: true}}}}}}"
    )
    with pytest.raises(ChainError, match=r"tier 'web': variables of role web: .*y"):
        check_role("web", "web", read_arguments(tmp_path), {})


def test_a_role_is_read_once_for_all_tiers(role):
    arguments = read_arguments(role)
    (role / "meta/argument_specs.yml").unlink()
    for tier in ("shop", "blog"):
        with pytest.raises(ChainError, match=f"tier '{tier}': .*web_mode"):
            check_role(tier, "web", arguments, {})


def test_a_role_without_a_specification_accepts_any_variable(tmp_path):
    check_role("web", "web", read_arguments(tmp_path), {"x": 1})


def test_a_specification_in_meta_main_is_used(tmp_path):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/main.yml").write_text(SPEC)
    with pytest.raises(ChainError, match="web_mode"):
        check_role("web", "web", read_arguments(tmp_path), {})


def test_tier_config_is_checked():
    assert check_config("x", "tier_config", {"user": 1001})["user"] == "1001"
    assert check_config("x", "tier_config", {"healthcheck": {}})["healthcheck"] == {}
    with pytest.raises(ChainError, match=r"tier 'x': tier_config has the unknown key 'usr'; did you mean user\?"):
        check_config("x", "tier_config", {"usr": "1"})
    with pytest.raises(ChainError, match="expected a dictionary"):
        check_config("x", "tier_config", ["a"])


def test_protected_paths_are_a_list_of_patterns():
    assert check_protects("core", "tier_protects", ["/etc/ssl/", "/etc/*.conf"]) == ("etc/*.conf", "etc/ssl")
    assert check_protects("core", "tier_protects", None) == ()
    invalid = (({"a": 1}, "tier_protects"), (["/etc/[z-a]"], "not a valid pattern"), (["/"], "below the root"))
    for value, message in invalid:
        with pytest.raises(ChainError, match=f"tier 'core': .*{message}"):
            check_protects("core", "tier_protects", value)


@pytest.mark.parametrize(
    "defaults",
    [
        {"web_tier_config": {}, "web_tier_protects": []},
        {"web_tier_config": None, "web_tier_protects": None},
    ],
)
def test_a_role_may_set_nothing(defaults):
    check_role_tier("x", "web", RoleArguments(None, frozenset(), defaults), {})


@pytest.mark.parametrize("defaults", [{"web_tier_config": []}, {"web_tier_protects": {}}])
def test_an_empty_value_of_the_wrong_type_is_an_error(defaults):
    (variable,) = defaults
    with pytest.raises(ChainError, match=f"tier 'x': {variable}"):
        check_role_tier("x", "web", RoleArguments(None, frozenset(), defaults), {})
