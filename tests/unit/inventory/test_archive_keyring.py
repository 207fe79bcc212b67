"""The public keys of the archive that a base is bootstrapped from."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.bases.debian_bootstrap import mirror, suites
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Bootstrap
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.tier_key_parts import _digest_source
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.tiers import read_tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.records import decode, encode

TEXT = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----"
BINARY = b"\x99\x02\x0d\x04abc"
MIRROR = "http://archive.ubuntu.com/ubuntu"


def read(folder, **bootstrap):
    settings = {"suite": "noble", "mirror": MIRROR, **bootstrap}
    variables = {"group_names": ["ops"], "inventory_dir": str(folder), "tier_bootstrap": settings}
    return read_tier("base", variables).source


def test_keys_are_read_from_a_file_or_from_the_text(tmp_path):
    (tmp_path / "keys.gpg").write_bytes(BINARY)
    (tmp_path / "keys.asc").write_text(TEXT + "\n")
    files = [read(tmp_path, keyring=f"keys.{end}") for end in ("gpg", "asc")]
    assert [(each.keyring, each.is_armored) for each in files] == [(BINARY, False), (f"{TEXT}\n".encode(), True)]
    assert read(tmp_path, keyring=TEXT) == files[1]
    assert read(tmp_path).keyring == b""


def test_a_plan_keeps_binary_keys(tmp_path):
    (tmp_path / "keys.gpg").write_bytes(BINARY)
    source = read(tmp_path, keyring="keys.gpg", suites=["noble"])
    assert decode(encode(source), Bootstrap) == source


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "is a private key"),
        (b"\x95\x01", "is a private key"),
        (b"hello", "does not contain OpenPGP public keys"),
        (b"", "does not contain OpenPGP public keys"),
        (None, "cannot be read: No such file or directory; a relative path begins at the inventory's folder"),
    ],
)
def test_a_file_without_public_keys_is_rejected(tmp_path, content, problem):
    if content is not None:
        (tmp_path / "keys").write_bytes(content)
    with pytest.raises(ChainError, match=rf"tier 'base': tier_bootstrap\.keyring {tmp_path}/keys {problem}"):
        read(tmp_path, keyring="keys")


def test_a_private_key_in_the_inventory_is_rejected(tmp_path):
    with pytest.raises(ChainError, match=r"tier_bootstrap\.keyring is a private key"):
        read(tmp_path, keyring=TEXT.replace("PUBLIC", "PRIVATE"))


def test_keys_without_a_mirror_are_rejected(tmp_path):
    with pytest.raises(ChainError, match="has a keyring, but no mirror; set mirror"):
        read(tmp_path, keyring=TEXT, mirror=None)


def test_other_keys_give_another_base_and_no_keys_the_same_as_before(tmp_path):
    digests = [_digest_source(read(tmp_path, **more), {}) for more in ({}, {"keyring": TEXT}, {"suites": ["noble"]})]
    assert len(set(digests)) == 3
    without = _digest_source(Bootstrap("noble", mirror=MIRROR), {})
    assert without == "8895c3d6dc26983baf00093df68c6fb0"  # as in versions that had no keyrings


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {"noble": MIRROR, "noble-updates": MIRROR, "noble-security": None}),
        ({"keyring": b"x"}, {"noble": MIRROR, "noble-updates": MIRROR, "noble-security": MIRROR}),
        ({"suites": ("noble",)}, {"noble": MIRROR}),
        ({"suites": ("noble-security",), "security_mirror": "http://s"}, {"noble-security": "http://s"}),
    ],
)
def test_each_suite_has_a_mirror(more, expected):
    source = Bootstrap("noble", mirror=MIRROR, **more)
    assert {suite: mirror(source, kind) for suite, kind in suites(source).items()} == expected
