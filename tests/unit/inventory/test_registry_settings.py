"""The variables about registries are checked, and their errors contain no password."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.registry_settings import (
    publishes,
    read_cache_use,
    read_registries,
)

HOST = "registry.example.org:5000"


def test_all_settings_are_read(tmp_path):
    (tmp_path / "ca.pem").write_text("")
    entry = {"username": "robot", "password": "canary", "insecure": "yes", "ca_file": "ca.pem"}
    access = read_registries({HOST: entry}, tmp_path)[HOST]
    assert access.login(HOST, "team/web") == ("robot", "canary")
    assert access.scheme(HOST) == "http"
    assert access.authorities(HOST) == (tmp_path / "ca.pem",)
    assert "canary" not in repr(access)


def test_registries_on_this_machine_need_no_tls(tmp_path):
    access = read_registries({"127.0.0.1:5000": {}, HOST: {}, "localhost": {"insecure": False}}, tmp_path)
    assert {host: each.scheme(host) for host, each in access.items()} == {
        "127.0.0.1:5000": "http",
        HOST: "https",
        "localhost": "https",
    }


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([HOST], "tier_registries is a list; expected a dictionary by host"),
        ({"https://example.org": {}}, "tier_registries names 'https://example.org'; expected the host of a registry"),
        ({HOST: "canary"}, f"tier_registries['{HOST}'] is a str; expected a dictionary"),
        ({HOST: {"passwort": "canary"}}, "has the unknown keys passwort"),
        ({HOST: {"password": "canary"}}, "has only one of username and password"),
        ({HOST: {"username": "robot", "password": ["canary"], "insecure": "canary"}}, "has the wrong type"),
        ({HOST: {"ca_file": "nothing.pem"}}, "ca_file is nothing.pem, but there is no such file"),
    ],
    ids=["list", "address", "text", "misspelt", "half", "types", "file"],
)
def test_wrong_settings_are_errors_without_the_password(tmp_path, value, message):
    with pytest.raises(ChainError) as failure:
        read_registries(value, tmp_path)
    assert message in str(failure.value)
    assert "canary" not in str(failure.value)


def test_the_cache_is_read_or_written():
    assert [read_cache_use(value) for value in (None, "read", "write")] == [None, "read", "write"]
    with pytest.raises(ChainError, match="tier_shared_cache is True; expected read"):
        read_cache_use(value=True)


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), ("yes", True), ("cache", True), (False, False), ("no", False)]
)
def test_a_run_publishes_or_not(value, expected):
    assert publishes(value) is expected


@pytest.mark.parametrize("value", ["chache", "", None, [], "Cache"])
def test_another_value_of_tier_publish_is_refused(value):
    with pytest.raises(ChainError, match=r"tier_publish is .*; expected true, false or cache"):
        publishes(value)
