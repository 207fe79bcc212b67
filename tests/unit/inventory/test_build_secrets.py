"""Secrets of a build are checked when the run is planned, and no message contains a value."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.build_secrets import read_secrets
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.secrets import SecretMask, reject_secrets
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.tiers import read_tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.variable_digests import digest_variables

TOKEN = "hunter2-and-more"


def tier(secrets, **more):
    return read_tier("web", {"group_names": ["ops"], "tier_parent": "base", "tier_secrets": secrets, **more})


def test_secrets_are_files_by_name():
    assert read_secrets("web", {"npm.token": TOKEN}) == {"npm.token": TOKEN}
    assert read_secrets("web", None) == {}


@pytest.mark.parametrize(
    ("secrets", "problem"),
    [
        (TOKEN, "tier_secrets is a value of the type str; expected a dictionary"),
        ([TOKEN], "tier_secrets is a value of the type list; expected a dictionary"),
        ({"a/b": TOKEN}, "tier_secrets has the name 'a/b'; expected the name of a file"),
        ({"..": TOKEN}, "tier_secrets has the name '..'"),
        ({"-x;y": TOKEN}, "tier_secrets has the name '-x;y'"),
        ({"token": ["hunter2-and-more"]}, "tier_secrets.token has the type list; expected a string"),
        ({"token": 12345678}, "tier_secrets.token has the type int; expected a string"),
        ({"token": "short"}, "tier_secrets.token has fewer than 6 characters"),
        ({"token": TOKEN * 70000}, "tier_secrets.token has more than 1 MiB"),
    ],
)
def test_a_wrong_secret_is_rejected_without_its_value(secrets, problem):
    with pytest.raises(ChainError) as failure:
        tier(secrets)
    assert f"tier 'web': {problem}" in str(failure.value)
    assert "hunter2" not in str(failure.value)


def test_the_tier_itself_does_not_contain_the_secrets():
    assert TOKEN not in repr(tier({"token": TOKEN}))


def test_a_base_has_no_secrets():
    with pytest.raises(ChainError, match="tier_secrets is set, but no task runs for a base") as failure:
        tier({"token": TOKEN}, tier_parent=None, tier_bootstrap={"suite": "trixie"})
    assert TOKEN not in str(failure.value)


def test_ssh_agent_is_a_switch():
    assert [tier(None).ssh_agent, tier(None, tier_ssh_agent=True).ssh_agent] == [False, True]
    with pytest.raises(ChainError, match="tier_ssh_agent is 'maybe'; expected true or false"):
        tier(None, tier_ssh_agent="maybe")


def test_the_key_has_a_digest_that_is_slow_to_guess():
    variables = {"tier_secrets": {"token": TOKEN}, "uses": "{{ tier_secrets.token }}", "plain": "x"}
    fast = digest_variables(variables, variables)
    slow = digest_variables(variables, variables, {"tier_secrets"})
    differing = {name for name in fast if fast[name] != slow[name]}
    assert differing == {"variable/tier_secrets", "variable/uses"}
    other = {**variables, "tier_secrets": {"token": f"{TOKEN}!"}}
    assert digest_variables(other, other, {"tier_secrets"})["variable/tier_secrets"] != slow["variable/tier_secrets"]


def test_settings_of_an_image_must_not_contain_a_secret():
    with pytest.raises(
        ChainError, match=r"tier_config\.env\.TOKEN contains the value of tier_secrets\.token, which is"
    ):
        reject_secrets("web", "tier_config", {"env": {"TOKEN": TOKEN}}, {"tier_secrets": {"token": f"{TOKEN}\n"}})


def test_the_output_of_tests_is_masked():
    assert SecretMask([{"tier_secrets": {"token": TOKEN}}]).hide(f"got {TOKEN}") == "got ***"
