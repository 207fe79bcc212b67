"""The variables about consumers."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.consumer_settings import read_consumers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.consumers import Consumers

SHOP, SITE = "registry.example.org/development/shop", "registry.example.org:5000/development/site"


def read(consumers, verdicts=None, timeout=None, **more):
    values = {"tier_consumers": consumers, "tier_verdicts": verdicts, "tier_verdict_timeout": timeout, **more}
    return read_consumers("core", {name: value for name, value in values.items() if value is not None})


@pytest.mark.parametrize("nobody", [None, []])
def test_without_consumers_nobody_is_asked(nobody):
    assert read(nobody) is None
    assert read(nobody, "all", 5) is None


@pytest.mark.parametrize(("verdicts", "needed"), [(None, 2), ("all", 2), ("advisory", 0), (1, 1), ("1", 1), (2, 2)])
def test_how_many_must_say_yes(verdicts, needed):
    assert read([SHOP, SITE], verdicts) == Consumers((SHOP, SITE), needed, 3600.0)


def test_a_consumer_that_is_listed_twice_counts_once():
    assert read([SHOP, SHOP]) == Consumers((SHOP,), 1, 3600.0)


@pytest.mark.parametrize(("value", "seconds"), [(0, 0.0), ("90", 90.0), (1.5, 1.5)])
def test_the_timeout(value, seconds):
    assert read([SHOP], timeout=value).timeout == seconds


@pytest.mark.parametrize("verdicts", ["most", 0, 3, -1, "3", True, 1.0, [], {}, "①"])
def test_wrong_policies(verdicts):
    with pytest.raises(ChainError, match=r"tier_verdicts is .*expected all, advisory, or how many of the 2"):
        read([SHOP, SITE], verdicts)


@pytest.mark.parametrize("timeout", [-1, "soon", True, float("inf"), float("nan"), "nan", [], "1h"])
def test_wrong_timeouts(timeout):
    with pytest.raises(ChainError, match=r"tier_verdict_timeout is .*expected seconds, or 0"):
        read([SHOP], timeout=timeout)


@pytest.mark.parametrize("consumers", [SHOP, {SHOP: 1}, 7, True])
def test_consumers_are_a_list(consumers):
    with pytest.raises(ChainError, match=r"tier_consumers is .*expected a list of repositories"):
        read(consumers)


@pytest.mark.parametrize(
    "name", ["development/shop", f"{SHOP}:latest", f"{SHOP}@sha256:{'0' * 64}", "", 7, None, f"https://{SHOP}", "shop"]
)
def test_a_consumer_is_a_repository_in_a_registry(name):
    with pytest.raises(ChainError, match="expected the tier_image of a tier of another team"):
        read([name])


def test_a_tier_is_not_its_own_consumer():
    with pytest.raises(ChainError, match="which is this tier itself"):
        read([SHOP, SITE], tier_image=SITE)
