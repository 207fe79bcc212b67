"""A policy counts only if a root key signed exactly its bytes, and no newer one was seen."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.evidence import POLICY
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy_signature import (
    find_signers,
    read_signed_policy,
    sign_policy,
    signature_path,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.version_memory import VersionMemory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import read_bundle, write_bundle
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import sign, sign_statement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import (
    Statement,
    Subject,
    read_statement,
)

pytestmark = pytest.mark.once


@pytest.fixture
def path(tmp_path, policy_text):
    path = tmp_path / "chain-policy.yml"
    path.write_text(policy_text)
    return path


@pytest.fixture
def owner(signers):
    return signers["owner"]


@pytest.fixture
def deputy(signers):
    return signers["deputy"]


def roots(*signers):
    return [signer.public_key for signer in signers]


def test_a_signed_policy_is_read(path, owner, deputy):
    assert sign_policy(path, owner) == 1
    assert read_signed_policy(path, roots(deputy, owner)).version == 3
    [line] = signature_path(path).read_bytes().splitlines()
    statement = read_statement(read_bundle(line, "it").payload, "it")
    assert (statement.predicate_type, [subject.name for subject in statement.subjects]) == (
        POLICY,
        ["chain-policy.yml"],
    )
    assert statement.subjects[0].digest == digest_of(path)
    assert signature_path(path).stat().st_mode & 0o777 == 0o644


def test_without_a_signature_it_is_refused(path, owner):
    with pytest.raises(TrustError, match=r"is not signed: there is no chain-policy\.yml\.sigstore\.json beside it"):
        read_signed_policy(path, roots(owner))


def test_without_root_keys_it_is_refused(path, owner):
    sign_policy(path, owner)
    with pytest.raises(TrustError, match=r"cannot be trusted without a root key; set tier_policy_keys"):
        read_signed_policy(path, [])


def test_a_key_in_the_policy_is_no_root_key(path, signers, owner):
    sign_policy(path, signers["alice"])
    with pytest.raises(TrustError, match=r"has no signature of a root key \(known are [0-9a-f]{12}\); let the owner"):
        read_signed_policy(path, roots(owner))


def test_a_changed_policy_is_refused(path, owner):
    sign_policy(path, owner)
    path.write_text(path.read_text().replace("signatures: 2", "signatures: 1"))
    with pytest.raises(TrustError, match=r"was changed after it was signed; undo the change, or raise its version"):
        read_signed_policy(path, roots(owner))


def test_an_expired_policy_is_refused(path, owner):
    sign_policy(path, owner)
    with pytest.raises(TrustError, match=r"expired on 2099-07-01; raise its version and expires"):
        read_signed_policy(path, roots(owner), now=datetime(2099, 7, 1, tzinfo=UTC))
    path.write_text(path.read_text().replace("2099-06-30", "2020-06-30"))
    with pytest.raises(TrustError, match=r"expires is 2020-07-01, which is past"):
        sign_policy(path, owner)


def test_signatures_of_others_stay_while_they_fit(path, owner, deputy):
    sign_policy(path, owner)
    assert sign_policy(path, deputy) == 2
    assert sign_policy(path, deputy) == 2
    assert find_signers(path, roots(owner, deputy)) == roots(owner, deputy)
    path.write_text(path.read_text().replace("version: 3", "version: 4"))
    assert sign_policy(path, deputy) == 1
    assert find_signers(path, roots(owner, deputy)) == roots(deputy)


def test_signatures_of_unknown_keys_are_removed_if_roots_are_known(path, owner, deputy, signers):
    sign_policy(path, signers["alice"])
    signature_path(path).write_bytes(signature_path(path).read_bytes() + b"junk\n")
    assert sign_policy(path, owner, roots(owner, deputy)) == 1


def test_an_invalid_policy_is_not_signed(path, owner):
    path.write_text(path.read_text().replace("signatures: 2", "signatures: 7"))
    with pytest.raises(TrustError, match=r"signatures is 7, but team"):
        sign_policy(path, owner)
    assert not signature_path(path).exists()


def digest_of(path):
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.parametrize(
    ("kind", "names", "message"),
    [
        (
            "https://tierwright.github.io/release/v1",
            1,
            "is a statement https://tierwright.github.io/release/v1 about 1",
        ),
        (POLICY, 2, "about 2 subjects; expected"),
    ],
)
def test_other_statements_of_a_root_key_do_not_count(path, owner, kind, names, message):
    subjects = tuple(Subject(str(number), digest_of(path)) for number in range(names))
    envelope = sign_statement(Statement(subjects, kind, {}), owner)
    signature_path(path).write_bytes(write_bundle(envelope, owner.public_key))
    with pytest.raises(TrustError, match=r"has no signature of a root key") as raised:
        read_signed_policy(path, roots(owner))
    assert message in str(raised.value)


def test_another_payload_type_does_not_count(path, owner):
    sign_policy(path, owner)
    payload = read_bundle(signature_path(path).read_bytes(), "it").payload
    signature_path(path).write_bytes(write_bundle(sign(payload, "text/plain", owner), owner.public_key))
    with pytest.raises(TrustError, match=r"has the payload type 'text/plain'"):
        read_signed_policy(path, roots(owner))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"{}", b"\xff", b"x\n" * 101, b"x" * ((1 << 20) + 1)])
def test_a_damaged_signature_is_refused(path, owner, content):
    signature_path(path).write_bytes(content)
    with pytest.raises(TrustError):
        read_signed_policy(path, roots(owner))


def test_a_damaged_line_does_not_spoil_a_good_one(path, owner):
    sign_policy(path, owner)
    signature_path(path).write_bytes(b"junk\n" + signature_path(path).read_bytes())
    read_signed_policy(path, roots(owner))


def test_a_missing_policy_is_named(tmp_path, owner):
    with pytest.raises(TrustError, match=r"the policy .*/chain-policy\.yml cannot be read: No such file"):
        read_signed_policy(tmp_path / "chain-policy.yml", roots(owner))


def signed_with(path, owner, version, **replaced):
    text = path.read_text()
    text = text.replace(text.partition("\n")[0], f"version: {version}")
    for old, new in replaced.items():
        text = text.replace(old, new)
    path.write_text(text)
    sign_policy(path, owner)


def test_an_older_version_than_was_seen_is_refused(path, owner, tmp_path):
    memory = VersionMemory("shop", tmp_path / "memory")
    for version in (3, 3, 5):
        signed_with(path, owner, version)
        assert read_signed_policy(path, roots(owner), memory=memory).version == version
    signed_with(path, owner, 4)
    with pytest.raises(TrustError, match=r"has version 4, but version 5 of the policy of chain 'shop' was seen before"):
        read_signed_policy(path, roots(owner), memory=VersionMemory("shop", tmp_path / "memory"))
    assert read_signed_policy(path, roots(owner), memory=VersionMemory("other", tmp_path / "memory")).version == 4


def test_a_version_stands_for_one_content(path, owner, tmp_path):
    memory = VersionMemory("shop", tmp_path / "memory")
    signed_with(path, owner, 3)
    read_signed_policy(path, roots(owner), memory=memory)
    signed_with(path, owner, 3, main="trunk")
    with pytest.raises(TrustError, match=r"a different policy of chain 'shop' with the same version was seen before"):
        read_signed_policy(path, roots(owner), memory=memory)


def test_a_policy_that_is_not_signed_is_not_remembered(path, owner, signers, tmp_path):
    memory = VersionMemory("shop", tmp_path / "memory")
    signed_with(path, signers["alice"], 9)
    with pytest.raises(TrustError):
        read_signed_policy(path, roots(owner), memory=memory)
    signed_with(path, owner, 3)
    assert read_signed_policy(path, roots(owner), memory=memory).version == 3


@pytest.mark.parametrize("content", ["", "{}", "[]", json.dumps({"version": "3", "digest": "x"})])
def test_a_damaged_memory_is_an_error(path, owner, tmp_path, content):
    sign_policy(path, owner)
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/shop.json").write_text(content)
    with pytest.raises(TrustError, match=r"memory/shop\.json is damaged .* remove the file if"):
        read_signed_policy(path, roots(owner), memory=VersionMemory("shop", tmp_path / "memory"))


def test_the_memory_is_private(path, owner, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    sign_policy(path, owner)
    read_signed_policy(path, roots(owner), memory=VersionMemory("../shop"))
    folder = tmp_path / "state/tierwright/+policies"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(each.name for each in folder.iterdir()) == ["%2E.%2Fshop.json", "%2E.%2Fshop.lock"]
    assert (folder / "%2E.%2Fshop.json").stat().st_mode & 0o777 == 0o600
