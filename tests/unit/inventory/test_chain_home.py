"""The name and the home of a chain, from an inventory and a checkout."""

from __future__ import annotations

import subprocess

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.tiers import (
    find_home,
    former_name,
    read_name,
)


def views(*names, folder="/home/anne/shop/inventory"):
    return {f"tier{number}": {"tier_chain": name, "inventory_dir": folder} for number, name in enumerate(names)}


def test_the_name_comes_from_the_tiers_or_else_from_the_folder():
    assert read_name(views("mine", "mine")) == "mine"
    assert read_name(views(None, None)) == "shop"
    assert read_name(views("", "")) == "shop"


@pytest.mark.parametrize(("first", "second"), [("mine", "yours"), ("mine", None), (None, "mine")])
def test_all_tiers_of_an_inventory_must_have_the_same_tier_chain(first, second):
    with pytest.raises(ChainError, match=r"^tier 'tier1': tier_chain is .* one inventory is one chain"):
        read_name(views(first, second))


@pytest.mark.parametrize("folder", ["/inventory", "/workspace/inventories/production", None])
def test_a_chain_without_a_name_is_rejected(folder):
    with pytest.raises(ChainError, match=r"^tier_chain is not set, .*name the chain: tier_chain: shop"):
        read_name(views(None, folder=folder))


@pytest.mark.parametrize(
    ("name", "folder", "former"),
    [
        (None, "/home/anne/shop/inventory", "inventory"),
        (None, "/work/inventories/wordpress", ""),
        ("mine", "/home/anne/shop/inventory", ""),
    ],
)
def test_the_former_name_of_a_chain_is_known(name, folder, former):
    tiers = views(name, folder=folder)
    assert former_name(read_name(tiers), tiers["tier0"]) == former


def git(folder, *arguments):
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path):
    folder = tmp_path / "first"
    (folder / "inventory").mkdir(parents=True)
    (folder / "inventory/chain.yml").write_text("tiers: {}\n")
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return folder


def test_clones_and_worktrees_of_a_repository_are_one_project(clone, tmp_path, make_tier):
    git(clone, "clone", str(clone), str(tmp_path / "second"))
    git(clone, "worktree", "add", str(tmp_path / "third"))
    first, *others = (
        find_home([make_tier(tier)], tmp_path / place / "inventory")
        for place, tier in (("first", "base"), ("second", "other"), ("third", "another"))
    )
    for other in others:
        assert other.claims_with(first)
        assert first.claims_with(other)


def test_clones_from_different_addresses_with_the_same_history_are_one_project(clone, tmp_path, make_tier):
    """For example a mirror, an SSH alias and the copy of a CI service: all have the same first commit."""
    git(clone, "clone", "--bare", str(clone), str(tmp_path / "mirror"))
    git(clone, "commit", "--allow-empty", "-m", "second")
    for place, address, options in (
        ("second", clone.as_uri(), ()),
        ("third", (tmp_path / "mirror").as_uri(), ()),
        ("shallow", clone.as_uri(), ("--depth=1",)),
    ):
        git(clone, "clone", *options, address, str(tmp_path / place))
        git(tmp_path / place, "remote", "set-url", "origin", f"https://{place}.example.org/shop")
    second, third, shallow = (
        find_home([make_tier("base")], tmp_path / place / "inventory") for place in ("second", "third", "shallow")
    )
    assert second.claims_with(third)
    assert second.is_project_of(third)  # holds for chains with different names too
    assert not second.is_project_of(msgspec.structs.replace(third, tiers=("web web",)))  # a fork
    assert not shallow.roots
    assert not second.claims_with(shallow)


@pytest.mark.parametrize(
    "address",
    [
        "https://user:secret@example.org/acme/shop.git",
        "git@example.org:acme/shop.git",
        "ssh://git@example.org:2222/acme/shop",
        "https://EXAMPLE.org/acme/shop/",
    ],
)
def test_the_origin_has_no_user_password_or_protocol(clone, address, make_tier):
    git(clone, "remote", "add", "origin", address)
    home = find_home([make_tier("base")], clone / "inventory")
    assert home.origin == "example.org/acme/shop"
    assert home.within == "inventory"
    assert "secret" not in home.written()


def test_without_a_repository_only_the_tiers_are_known(tmp_path, make_tier):
    home = find_home([make_tier("web"), make_tier("base")], tmp_path)
    assert (home.origin, home.repository, home.tiers) == ("", "", ("base base", "web web"))
