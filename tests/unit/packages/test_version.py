"""Debian's order of versions, against dpkg itself."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.apt_preferences import key

PARTS = st.text("0019aBz+.~-:", max_size=8)


def ordered(one, other):
    return (key(one) > key(other)) - (key(one) < key(other))


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.0~rc1", "1.0"),
        ("1.0", "1.0+b1"),
        ("1.0a", "1.0+"),
        ("9", "10"),
        ("2", "1:1"),
        ("1-1", "1-1.1"),
        ("1.0-1~deb12u1", "1.0-1"),
        ("1.1.1n-0+deb11u5", "3.0.11-1~deb12u2"),
        ("1" * 5000, "2" * 5000),
    ],
)
def test_known_pairs(lower, higher):
    assert ordered(lower, higher) == -1
    assert ordered(higher, lower) == 1


@pytest.mark.parametrize(("one", "other"), [("1", "0:1"), ("1", "1-0"), ("1.0", "1.00"), ("1.", "1.0"), ("01", "1")])
def test_what_dpkg_takes_for_the_same(one, other):
    assert ordered(one, other) == 0


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="this machine has no dpkg to compare with")
@settings(deadline=None)
@given(PARTS, PARTS)
@example("", "~")
@example("~", "0~")
@example("0-", "0")
def test_it_is_dpkg_s(one, other):
    one, other = f"1{one}", f"1{other}"
    said = {
        relation: subprocess.run(["dpkg", "--compare-versions", one, relation, other], capture_output=True, check=False)
        for relation in ("lt", "eq")
    }
    if any(done.stderr for done in said.values()):
        return  # one of the two is no version
    assert ordered(one, other) == (-1 if said["lt"].returncode == 0 else 0 if said["eq"].returncode == 0 else 1)
