"""The order of Debian versions, compared with dpkg."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.apt_preferences import key

PARTS = st.text("0019aBz+.~-:", max_size=8)


def compare(one, other):
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
def test_known_pairs_are_in_order(lower, higher):
    assert compare(lower, higher) == -1
    assert compare(higher, lower) == 1


@pytest.mark.parametrize(("one", "other"), [("1", "0:1"), ("1", "1-0"), ("1.0", "1.00"), ("1.", "1.0"), ("01", "1")])
def test_equal_versions(one, other):
    assert compare(one, other) == 0


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="this machine has no dpkg to compare with")
@settings(deadline=None)
@given(PARTS, PARTS)
@example("", "~")
@example("~", "0~")
@example("0-", "0")
def test_the_order_is_that_of_dpkg(one, other):
    one, other = f"1{one}", f"1{other}"
    processes = {
        relation: subprocess.run(["dpkg", "--compare-versions", one, relation, other], capture_output=True, check=False)
        for relation in ("lt", "eq")
    }
    if any(process.stderr for process in processes.values()):
        return  # one of the two is not a valid version
    assert compare(one, other) == (
        -1 if processes["lt"].returncode == 0 else 0 if processes["eq"].returncode == 0 else 1
    )
