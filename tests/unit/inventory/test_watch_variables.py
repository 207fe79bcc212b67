"""The variables of a watcher are read from the tiers, and from the host of the site."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.watch_variables import (
    read_watch_settings,
)


def chain(*variables):
    tiers = {f"tier{number}": each for number, each in enumerate(variables)}
    return SimpleNamespace(chain=[SimpleNamespace(name=name) for name in tiers], variables=tiers.__getitem__)


def test_values_are_converted(tmp_path):
    site = {"watch_deploy": "yes", "watch_interval": "60", "deploy_images": {"a": "b"}, "inventory_dir": str(tmp_path)}
    settings = read_watch_settings(None, {**site, "watch_notification_token_file": "token", "watch_keep": "7"})
    assert (settings.deploy, settings.interval, settings.keep) == (True, 60.0, 7)
    assert settings.token_file == f"{tmp_path}/token"


def test_a_chain_and_a_site_are_joined():
    site = {"watch_deploy": True, "deploy_images": {"a": "b"}}
    settings = read_watch_settings(chain({"watch_follow": True}, {"watch_follow": True}), site)
    assert (settings.follow, settings.candidates, settings.deploy) == (True, False, True)


@pytest.mark.parametrize(
    ("inventory", "site", "sentence"),
    [
        (None, {}, "there is nothing to watch"),
        (None, {"watch_follow": True}, "watch_follow is true, but the inventory has no tiers"),
        (None, {"watch_candidates": True}, "watch_candidates is true, but the inventory has no tiers"),
        (None, {"watch_deploy": True}, "deploy_images is not set"),
        (None, {"watch_interval": "often"}, "watch_interval is 'often'; expected float"),
        (None, {"watch_deploy": "perhaps"}, "watch_deploy is 'perhaps'; expected bool"),
        (None, {"watch_deplyo": True}, "do you mean watch_deploy"),
        (chain({"watch_folow": True}), {}, "do you mean watch_follow"),
        (
            chain({"watch_follow": True}, {"watch_follow": False}),
            {},
            "watch_follow is True for a tier, and False for tier 'tier1'",
        ),
    ],
)
def test_wrong_variables_are_one_sentence(inventory, site, sentence):
    with pytest.raises(ChainError, match=sentence):
        read_watch_settings(inventory, site)
