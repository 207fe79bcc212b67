"""The settings of a watcher are checked, and wrong ones are one sentence."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.settings import (
    check_names,
    make_settings,
    merge_values,
)

pytestmark = pytest.mark.once


def test_everything_has_a_default_but_nothing_is_switched_on(tmp_path):
    settings = make_settings({"watch_deploy": True}, tmp_path)
    assert (settings.follow, settings.candidates, settings.deploy) == (False, False, True)
    assert settings.address == ("127.0.0.1", 8405)
    assert not settings.is_public
    assert settings.token_file is None


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "there is nothing to watch"),
        ({"watch_interval": 0.5}, "watch_interval is 0.5; expected at least 1 seconds"),
        ({"watch_interval": float("nan")}, "watch_interval is nan"),
        ({"watch_debounce": -1.0}, "watch_debounce is -1.0"),
        ({"watch_time_limit": float("inf")}, "watch_time_limit is inf"),
        ({"watch_keep": 0}, "watch_keep is 0"),
        ({"watch_listen": "8405"}, "watch_listen is '8405'; expected an IP address and a port"),
        ({"watch_listen": "localhost:8405"}, "watch_listen"),
        ({"watch_listen": "127.0.0.1:99999"}, "watch_listen"),
        ({"watch_listen": "127.0.0.1:x"}, "watch_listen"),
    ],
)
def test_wrong_values(tmp_path, values, sentence):
    given = {"watch_deploy": True, **values} if values else {}
    with pytest.raises(ChainError, match=sentence):
        make_settings(given, tmp_path)


def test_addresses_and_paths(tmp_path):
    values = {"watch_follow": True, "watch_listen": "[::1]:0", "watch_notification_token_file": "token"}
    settings = make_settings(values, tmp_path)
    assert settings.address == ("::1", 0)
    assert settings.token_file == f"{tmp_path}/token"
    assert make_settings({**values, "watch_listen": "0.0.0.0:1"}, tmp_path).is_public
    assert make_settings({**values, "watch_listen": ""}, tmp_path).address is None


def test_chain_and_site_may_not_contradict():
    both = {"watch_follow": True, "watch_deploy": True}
    assert merge_values({"watch_follow": True}, {"watch_deploy": True}, "x") == both
    with pytest.raises(ChainError, match="watch_interval is 5 for a tier, and 6 for the host of the site"):
        merge_values({"watch_interval": 5}, {"watch_interval": 6}, "the host of the site")


def test_mistyped_variables_are_found():
    check_names(["watch_deploy", "watchdog", "watch_my_own_files", "deploy_name"])
    with pytest.raises(ChainError, match=r"there is no variable watch_deplyo; do you mean watch_deploy\?"):
        check_names(["watch_deplyo"])
