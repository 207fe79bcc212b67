"""A policy is changed in two places of its text, or not at all."""

from __future__ import annotations

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import NotFoundError, TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.policy_keys import (
    add_lines,
    find_key,
    list_keys,
    revoke_key,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import describe_key

pytestmark = pytest.mark.once

#: Always the same: they are in the names of tests, which all processes of a session must know.
KEY, OTHER, VENDOR, UNUSED = (
    describe_key(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32).public_key(), "key") for number in range(4)
)


def policy(revoked="", version="version: 3   # rises with each change"):
    vendor = "\n".join(f"        {line}" for line in VENDOR.pem.splitlines())
    return (
        f"# The policy of the shop.\n{version}\nexpires: 2027-06-30\n"
        f"{add_lines('operations', 'alice', KEY)}      bob: {OTHER.pem!r}\n"
        f"tiers:\n  base:\n    signed_by:\n      vendor: |\n{vendor}\n  '*': {{team: operations}}\n"
        f"{revoked}base_age: 90\n"
    ).replace(repr(OTHER.pem), '"' + OTHER.pem.replace("\n", "\\n") + '"')


def test_all_keys_are_found():
    keys = list_keys(policy(), "p")
    assert [(each.place, str(each), each.key) for each in keys] == [
        ("teams.operations.keys", "operations/alice", KEY),
        ("teams.operations.keys", "operations/bob", OTHER),
        ("tiers.base.signed_by", "base/vendor", VENDOR),
    ]
    for wanted in ("operations/alice", KEY.id, KEY.id[:12]):
        assert find_key(policy(), wanted, "p").key == KEY


@pytest.mark.parametrize("wanted", ["alice", KEY.id[:11], UNUSED.id, "operations/carol", ""])
def test_other_names_of_keys_are_refused(wanted):
    with pytest.raises(NotFoundError, match=r"^p has no keys named .*operations/alice \(") as raised:
        find_key(policy(), wanted, "p")
    assert "base/vendor" in str(raised.value)


@pytest.mark.parametrize(
    "revoked",
    [
        "",
        "revoked: {}\n",
        "revoked:\n",
        "revoked: null  # nobody yet\n",
        "revoked: ~\n",
        f'revoked:\n  "{UNUSED.id}": "2026-01-01 lost"\n',
        f'revoked:\n# the first\n\n    # the second\n    "{UNUSED.id}": 2026-01-01 lost  # a pity\n',
        f'revoked: # all of them\n  "{UNUSED.id}": |\n    2026-01-01 lost\n',
    ],
)
def test_a_key_is_revoked_and_nothing_else_changes(revoked):
    before = policy(revoked)
    after = revoke_key(before, KEY, "2026-11-30 laptop: lost # 1", "p")
    old, new = yaml.safe_load(before), yaml.safe_load(after)
    assert new.pop("revoked") == {**(old.pop("revoked", None) or {}), KEY.id: "2026-11-30 laptop: lost # 1"}
    assert new == old | {"version": 4}
    kept = [line for line in before.splitlines() if not line.startswith(("version:", "revoked:"))]
    lines = iter(after.splitlines())
    assert all(line in lines for line in kept)  # in the same order, with comments
    assert "version: 4   # rises with each change\n" in after
    assert before.count("#") < after.count("#")


def test_a_file_without_a_last_line_feed_is_completed():
    after = revoke_key(policy().rstrip("\n"), KEY, "2026-11-30 lost", "p")
    assert yaml.safe_load(after)["base_age"] == 90
    assert after.endswith(f'\nrevoked:\n  "{KEY.id}": "2026-11-30 lost"\n')


def test_a_key_is_revoked_once():
    after = revoke_key(policy(), KEY, "2026-11-30 lost", "p")
    with pytest.raises(TrustError, match=r"^p has revoked the key [0-9a-f]{12} already: 2026-11-30 lost"):
        revoke_key(after, KEY, "2026-12-01 lost again", "p")
    assert set(yaml.safe_load(revoke_key(after, OTHER, "2026-12-01 x", "p"))["revoked"]) == {KEY.id, OTHER.id}


@pytest.mark.parametrize(
    "text",
    [
        policy(f'revoked: {{"{UNUSED.id}": lost}}\n'),  # in braces
        policy(version='"version": 3'),
        policy().replace("teams:", "note: |\n  a\nteams:").replace("note: |\n  a", "note: |\n  a\n") + "---\n",
        policy("revoked:\n...\n"),
    ],
)
def test_a_form_that_is_not_known_is_left_alone(text):
    with pytest.raises(TrustError, match=r"cannot be changed safely; raise its version, and write|is not a policy"):
        revoke_key(text, KEY, "2026-11-30 lost", "p")


def test_a_block_of_text_that_looks_like_the_place_is_not_changed():
    text = f"note: |\n  revoked:\n  version: 1\n{policy()}"
    after = revoke_key(text, KEY, "2026-11-30 lost", "p")
    assert yaml.safe_load(after)["note"] == "revoked:\nversion: 1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "p is not a policy: it is not YAML"),
        ("[1]", "p is not a policy; expected a dictionary with teams"),
        ("teams: []", "p is not a policy; expected a dictionary with teams"),
        ("\0", "p is not a policy: it is not YAML"),
        ("teams: {a: {keys: {b: nothing}}}", r"p: teams.a.keys.b is something else"),
    ],
)
def test_other_files_are_refused(text, message):
    with pytest.raises(TrustError, match=message):
        list_keys(text, "p")


def test_revoked_must_be_a_dictionary():
    with pytest.raises(TrustError, match="revoked is not a dictionary"):
        revoke_key(policy("revoked: [a]\n"), KEY, "2026-11-30 lost", "p")


@given(
    st.text(max_size=30).filter(str.isprintable),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
)
def test_any_note_and_any_comment_survive(note, comment):
    text = policy(f"# {comment.splitlines()[0] if comment.strip() and comment.isprintable() else ''}\n")
    assert yaml.safe_load(revoke_key(text, KEY, note, "p"))["revoked"] == {KEY.id: note}


@given(st.text(alphabet="abcyn0123-_.", min_size=1, max_size=12))
def test_lines_to_add_name_the_team_and_the_person(name):
    assert yaml.safe_load(add_lines(name, name, KEY)) == {"teams": {name: {"keys": {name: KEY.pem}}}}
