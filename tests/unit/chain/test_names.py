"""Names of chains, and file names that are made from names."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain import names
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/work/inventories/wordpress", "wordpress"),
        ("/home/anne/shop/inventory", "shop"),
        ("/home/anne/shop/Inventory", "shop"),
        ("/home/anne/shop", "shop"),
        ("/builds/acme/shop/ansible/inventories/hosts", "shop"),
        ("/home/anne/shop/inventories/production", "shop-production"),
        ("/home/anne/shop/staging/inventory", "shop-staging"),
        ("/workspace/inventory", None),
        ("/", None),
        ("/tmp/test/inventory", None),
        ("/home/anne/.hidden/inventory", "anne"),
    ],
)
def test_the_default_name_of_a_chain_comes_from_its_project(folder, name):
    assert names.default_chain_name(PurePosixPath(folder)) == name


@pytest.mark.parametrize("name", ["shop", "Shop 2", "team/shop", "läden", "a+b=c", "x" * 200, "a..b", "-"])
def test_a_valid_name_is_accepted(name):
    assert names.check_chain_name("tier_chain", name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "../..", ".hidden", " shop", "shop\n", "a\x1b[31mb", "a\u202eb"])
def test_an_invalid_name_is_rejected(name):
    expected = r"^tier_chain is .*, which is not a valid name of a chain: .*; use a name such as tier_chain: shop"
    with pytest.raises(ChainError, match=expected):
        names.check_chain_name("tier_chain", name)


@pytest.mark.parametrize("value", ["x" * 201, "ä" * 40, True, None, ["a"], {}])
def test_a_name_that_is_too_long_or_not_text_is_rejected(value):
    expected = r"which is not a valid name of a chain: (it is too long; at most 200|expected a string)"
    with pytest.raises(ChainError, match=expected):
        names.check_chain_name("tier_chain", value)


@pytest.mark.parametrize(("value", "name"), [(5, "5"), (1.5, "1.5")])
def test_a_number_is_accepted_as_text(value, name):
    assert names.check_chain_name("tier_chain", value) == name


@given(name=st.text(min_size=1, max_size=15))
def test_a_file_name_stays_in_its_folder_and_can_be_decoded(name):
    encoded = names.file_name(name)
    assert "/" not in encoded
    assert not encoded.startswith(".")
    assert unquote(encoded) == name


def test_a_name_that_is_too_long_for_a_file_is_rejected():
    with pytest.raises(ChainError, match="is too long; at most 200 bytes"):
        names.file_name("ä" * 200)
