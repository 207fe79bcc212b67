from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Protection
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import SealError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

SSL = Protection("core", "operations", ("etc/ssl",))


def test_protected_paths_are_stored_in_a_label(make_tier):
    image_labels = labels.identity("demo", make_tier("web", "core"), {}, "debian", protects=[SSL])
    assert labels.protections(image_labels) == (SSL,)
    assert labels.protections(labels.identity("demo", make_tier("web", "core"), {}, "debian")) == ()


def test_different_protected_paths_make_a_different_image(make_tier):
    before, after = (
        {**labels.identity("demo", make_tier("web", "core"), {}, "debian", protects=protects), labels.CONTENT: "x"}
        for protects in ([], [SSL])
    )
    assert not labels.same(before, after)
    assert labels.same(after, after)


def test_a_damaged_label_of_protected_paths_is_rejected():
    with pytest.raises(SealError, match=r"the label io.tierwright.protects of tier 'core' cannot be read"):
        labels.protections({labels.TIER: "core", labels.PROTECTS: "[{"})
