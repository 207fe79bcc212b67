"""The lock file is read, checked and written."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, DamagedError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.lock_file import (
    LockedAncestor,
    LockedTier,
    find_locked,
    read_lock,
    write_lock,
)

IMAGE = "registry.example.org/operations/corebuild"
DIGESTS = [f"sha256:{number:064x}" for number in range(5)]
LOCKED = LockedTier(
    image=IMAGE,
    tag="stable",
    digest=DIGESTS[0],
    config=DIGESTS[1],
    tier="corebuild",
    team="operations",
    chain="ops",
    attachment=DIGESTS[2],
    ancestors=(LockedAncestor("base", "operations", "registry.example.org/operations/base", DIGESTS[3], DIGESTS[4]),),
)
TEXT = f"""\
# Images of other teams that this chain follows. `tierwright update` writes this file; keep it in Git.
corebuild:
  ancestors:
  - attachment: {DIGESTS[4]}
    digest: {DIGESTS[3]}
    image: registry.example.org/operations/base
    team: operations
    tier: base
  attachment: {DIGESTS[2]}
  chain: ops
  config: {DIGESTS[1]}
  digest: {DIGESTS[0]}
  image: {IMAGE}
  tag: stable
  team: operations
  tier: corebuild
"""


def tier(name="corebuild", image=IMAGE, tag="stable"):
    return Tier(name=name, team="operations", image=image, tag=tag, source=Follow(image, tag))


digests = st.integers(0, 2**256 - 1).map(lambda number: f"sha256:{number:064x}")
images = st.sampled_from([IMAGE, "127.0.0.1:5000/a", "localhost/a_b/c", "[::1]:5000/x"])
words = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1)
locks = st.dictionaries(
    words,
    st.builds(
        LockedTier,
        image=images,
        tag=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
        digest=digests,
        config=digests,
        tier=words,
        team=words,
        chain=words,
        attachment=st.none() | digests,
        ancestors=st.lists(
            st.builds(LockedAncestor, tier=words, team=words, image=images, digest=digests, attachment=digests)
        ).map(tuple),
    ),
)


def test_the_file_is_made_for_review(tmp_path):
    path = tmp_path / "chain.lock"
    write_lock(path, {"corebuild": LOCKED})
    assert path.read_text() == TEXT
    assert path.stat().st_mode & 0o777 == 0o644
    assert read_lock(path) == {"corebuild": LOCKED}


@given(locks)
def test_what_was_written_is_read(locks):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "chain.lock")
        write_lock(path, locks)
        first = path.read_bytes()
        assert read_lock(path) == locks
        write_lock(path, dict(reversed(read_lock(path).items())))
        assert path.read_bytes() == first


def test_a_missing_file_locks_nothing(tmp_path):
    assert read_lock(tmp_path / "chain.lock") == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("corebuild: [\n", "while parsing"),
        ("just text\n", "Expected `object`"),
        (TEXT + TEXT, "'corebuild' occurs twice"),
        (TEXT.replace("  tag: stable\n", "  tag: stable\n  tag: latest\n"), "'tag' occurs twice"),
        (TEXT.replace("  tag: stable\n", ""), "missing required field `tag`"),
        (TEXT + "  more: 1\n", "unknown field `more`"),
        (TEXT.replace(DIGESTS[0], "sha256:short"), "corebuild.digest is 'sha256:short'"),
        (TEXT.replace(DIGESTS[4], "latest"), r"corebuild.ancestors\[0\].attachment is 'latest'"),
        (TEXT.replace("tag: stable", "tag: no tag"), "corebuild.tag is 'no tag'"),
        (TEXT.replace(f"image: {IMAGE}", "image: corebuild"), "corebuild.image is 'corebuild'"),
        ("a: &x {tier: 1}\nb: *x\n", "alias"),
        ("<<<<<<< HEAD\na: 1\n=======\n", "not a valid lock file"),
        ("\0", "not a valid lock file"),
        ("a: &x [*x]", "alias"),
        (TEXT.replace("team: operations\n  tier", 'team: "a\\nb"\n  tier'), "expected a name of one line"),
    ],
)
def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path, text, problem):
    path = tmp_path / "chain.lock"
    path.write_text(text)
    with pytest.raises(DamagedError, match=problem) as caught:
        read_lock(path)
    assert str(caught.value).startswith(str(path))
    assert "get it from Git again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_or_written_is_an_error(tmp_path):
    (tmp_path / "chain.lock").mkdir()
    with pytest.raises(DamagedError, match="cannot be read"):
        read_lock(tmp_path / "chain.lock")
    with pytest.raises(ChainError, match="cannot be written"):
        write_lock(tmp_path / "no folder" / "chain.lock", {})
    assert [path.name for path in tmp_path.iterdir()] == ["chain.lock"]


def test_the_locked_image_of_a_tier_is_found(tmp_path):
    assert find_locked(tmp_path / "chain.lock", {"corebuild": LOCKED}, tier()) == LOCKED


@pytest.mark.parametrize(
    ("locks", "followed", "message"),
    [
        (
            {},
            tier(),
            (
                f"tier 'corebuild' follows {IMAGE}:stable, but chain.lock has no digest for it .*; "
                "run `tierwright update corebuild`"
            ),
        ),
        (
            {"corebuild": LOCKED},
            tier(tag="latest"),
            rf"follows {IMAGE}:latest, but .* has the digest of {IMAGE}:stable",
        ),
        ({"corebuild": LOCKED}, tier(image="r.example.org/x"), "follows r.example.org/x:stable, but"),
        (
            {"core": LOCKED},
            tier("core"),
            "published as tier 'corebuild'.*rename the host 'core' of the inventory to 'corebuild'",
        ),
    ],
)
def test_a_lock_that_does_not_fit_the_inventory_is_an_error(tmp_path, locks, followed, message):
    with pytest.raises(ChainError, match=message):
        find_locked(tmp_path / "chain.lock", locks, followed)


def test_an_entry_without_attachment_and_ancestors_is_short(tmp_path):
    path = tmp_path / "chain.lock"
    write_lock(path, {"corebuild": msgspec.structs.replace(LOCKED, attachment=None, ancestors=())})
    assert "attachment" not in path.read_text()
    assert "ancestors" not in path.read_text()
