from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Protection
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import SealError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

SSL = Protection("core", "operations", ("etc/ssl",))


def test_what_is_protected_is_told_and_read_back(make_tier):
    said = labels.identity("demo", make_tier("web", "core"), {}, "debian", protects=[SSL])
    assert labels.protections(said) == (SSL,)
    assert labels.protections(labels.identity("demo", make_tier("web", "core"), {}, "debian")) == ()


def test_an_image_that_protects_something_else_is_another_one(make_tier):
    before, now = (
        {**labels.identity("demo", make_tier("web", "core"), {}, "debian", protects=protects), labels.CONTENT: "x"}
        for protects in ([], [SSL])
    )
    assert not labels.same(before, now)
    assert labels.same(now, now)


def test_a_damaged_label_protects_nothing_silently():
    with pytest.raises(SealError, match=r"the label io.tierwright.protects of tier 'core' cannot be read"):
        labels.protections({labels.TIER: "core", labels.PROTECTS: "[{"})
