from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import (
    content_tag,
    digest_bytes,
    digest_key,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.names import is_tag

PARTS = st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=6)


@given(PARTS, st.randoms())
def test_the_key_does_not_depend_on_the_order_of_its_parts(parts, random):
    items = list(parts.items())
    random.shuffle(items)
    assert digest_key(dict(items)) == digest_key(parts)


@given(PARTS, PARTS)
def test_keys_are_equal_exactly_if_their_parts_are(one, other):
    assert (digest_key(one) == digest_key(other)) == (one == other)


def test_a_content_tag_is_a_valid_tag():
    tag = content_tag(digest_key({"a": digest_bytes(b"b")}))
    assert is_tag(tag)
    assert len(tag) == len("key-") + 16
