from __future__ import annotations

import hashlib

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import digest_value


def test_a_digest_depends_on_types_but_not_on_the_order_of_keys():
    assert digest_value("x", {"a": 1, "b": [2]}, secret=False) == digest_value("y", {"b": [2], "a": 1}, secret=False)
    assert digest_value("x", "1", secret=False) != digest_value("x", 1, secret=False)


def test_the_digest_of_a_secret_is_salted_with_its_name():
    plain = digest_value("db_password", "hunter2", secret=False)
    secret = digest_value("db_password", "hunter2", secret=True)
    assert secret not in {plain, digest_value("other", "hunter2", secret=True)}
    assert secret == digest_value("db_password", "hunter2", secret=True)
    assert secret != digest_value("db_password", "hunter3", secret=True)


def test_a_value_that_json_does_not_support_counts_by_its_text():
    assert digest_value("x", {1, 2} - {2}, secret=False) == digest_value("x", "{1}", secret=False)


def test_a_shared_secret_is_hashed_only_once(monkeypatch):
    hashed = []
    monkeypatch.setattr(hashlib, "scrypt", lambda text, **_options: hashed.append(text) or b"digest")
    assert {digest_value("team_token", "shared by a thousand", secret=True) for _tier in range(1000)} == {
        b"digest".hex()
    }
    assert len(hashed) == 1
