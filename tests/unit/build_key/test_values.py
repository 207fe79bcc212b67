from __future__ import annotations

import hashlib

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import digest_value


def test_equal_values_have_equal_digests_whatever_their_order():
    assert digest_value("x", {"a": 1, "b": [2]}, secret=False) == digest_value("y", {"b": [2], "a": 1}, secret=False)
    assert digest_value("x", "1", secret=False) != digest_value("x", 1, secret=False)


def test_a_secret_s_digest_is_salted_with_its_name_and_is_not_the_plain_one():
    plain = digest_value("db_password", "hunter2", secret=False)
    secret = digest_value("db_password", "hunter2", secret=True)
    assert secret not in {plain, digest_value("other", "hunter2", secret=True)}
    assert secret == digest_value("db_password", "hunter2", secret=True)
    assert secret != digest_value("db_password", "hunter3", secret=True)


def test_what_json_cannot_hold_counts_by_its_text():
    assert digest_value("x", {1, 2} - {2}, secret=False) == digest_value("x", "{1}", secret=False)


def test_a_secret_that_tiers_share_is_slow_once(monkeypatch):
    asked = []
    monkeypatch.setattr(hashlib, "scrypt", lambda text, **_how: asked.append(text) or b"digest")
    assert {digest_value("team_token", "shared by a thousand", secret=True) for _tier in range(1000)} == {
        b"digest".hex()
    }
    assert len(asked) == 1
