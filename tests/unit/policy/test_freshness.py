"""Old releases that were put back, frozen registries, moved tags, and records of the wrong team."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.evidence import RELEASE
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.freshness import (
    SeenRelease,
    judge_release,
    read_release,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.rules import Revocation
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import Subject
from signed_line import NOW, TIERS, again, digest, key, make_policy, sign

pytestmark = pytest.mark.once

MANIFESTS = {tier: digest(f"manifest of {tier}") for tier in TIERS}
SEEN = SeenRelease(16, digest("record 16"))


def text(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def make_record(*people, **changes):
    predicate = {
        "chain": "shop",
        "serial": 17,
        "previous": SEEN.digest,
        "created": text(NOW - timedelta(days=1)),
        "expires": text(NOW + timedelta(days=13)),
        "tiers": {
            tier: {"manifest": each, "config": digest(tier), "tag": "latest"} for tier, each in MANIFESTS.items()
        },
        **changes,
    }
    subjects = [Subject(tier, each) for tier, each in MANIFESTS.items()]
    return sign(RELEASE, subjects, predicate, *(people or ["alice"]))


def judge(record, seen=SEEN, tags=MANIFESTS, policy=None, now=NOW):
    links = judge_release(policy or make_policy(), "shop", record, seen=seen, tags=tags, now=now)
    assert {link.name for link in links} <= {"freshness"}
    assert all(link.ok == (link.action == "") for link in links)
    return [(link.tier, link.detail) for link in links if not link.ok]


def test_the_newest_release_is_accepted():
    [link] = judge_release(make_policy(), "shop", make_record(), seen=SEEN, tags=MANIFESTS, now=NOW)
    assert (link.ok, link.detail) == (
        True,
        "release 17 of chain 'shop', valid until 2026-12-13, signed by alice of team 'operations'",
    )


def test_the_same_record_again_is_accepted():
    record = make_record()
    seen = read_release(record).seen
    assert seen == SeenRelease(17, f"sha256:{sha256(record.payload).hexdigest()}")
    assert judge(record, seen) == []
    assert judge(record, None) == []


def test_records_may_be_missed():
    assert judge(make_record(), SeenRelease(9, digest("record 9"))) == []


def test_only_tags_that_were_read_are_compared():
    assert judge(make_record(), tags={}) == []
    assert judge(make_record(), tags={"shop": MANIFESTS["shop"]}) == []


def test_nothing_is_required_without_a_rule():
    assert judge_release(replace(make_policy(), releases=None), "shop", None, seen=SEEN, tags={}, now=NOW) == []


@pytest.mark.parametrize(
    ("record", "seen", "detail"),
    [
        (None, SEEN, "there is no release record"),
        (make_record(serial=15), SEEN, "the release record 15 was replayed: record 16 was seen before"),
        (
            make_record(),
            SeenRelease(17, digest("x")),
            "the release record 17 was replayed: a different record with this",
        ),
        (
            make_record(previous=digest("x")),
            SEEN,
            "the release record 17 does not follow record 16, which was seen before",
        ),
        (make_record(chain="lab"), SEEN, "the release record 17 is that of chain 'lab'; expected 'shop'"),
        (make_record(expires=text(NOW)), SEEN, "the release record 17 expired on 2026-11-30 (frozen registry?)"),
        (
            make_record(expires="2027-11-30T00:00:00Z"),
            SEEN,
            "the release record 17 is valid for 365 days; the policy al",
        ),
        (
            make_record(created="2026-12-01T00:00:00Z"),
            SEEN,
            "the release record 17 claims to be of 2026-12-01 00:00 UTC",
        ),
        (
            make_record("carol"),
            SEEN,
            "the release record is signed by the wrong team: by carol of team 'middleware'; exp",
        ),
        (replace(make_record(), signers=()), SEEN, "the release record is signed by the wrong team: by no key that"),
        (replace(make_record(), payload_type="x"), SEEN, "the release record is wrong: its type is https://tierwright"),
        (again(make_record(), predicate_type="x"), SEEN, "the release record is wrong: its type is x; expected"),
        (
            again(make_record(), subjects=(Subject("shop", digest("x")),)),
            SEEN,
            "the release record is wrong: its subjects",
        ),
        (make_record(serial=0), SEEN, "the release record is wrong: it names no chain, or no serial number"),
        (make_record(serial=True), SEEN, "the release record is wrong: it names no chain, or no serial number"),
        (
            make_record(previous=None),
            SEEN,
            "the release record is wrong: it does not name the digest of the record bef",
        ),
        (make_record(created="2026-11-30T00:00:00"), SEEN, "the release record is wrong: it does not say when it was"),
        (make_record(tiers={}), SEEN, "the release record is wrong: its subjects are not the images"),
    ],
)
def test_a_record_that_is_not_fresh_is_refused(record, seen, detail):
    [(tier, found)] = judge(record, seen)
    assert tier == ""
    assert found.startswith(detail)


def test_a_revoked_key_does_not_release():
    policy = replace(make_policy(), revoked={key("alice").id: Revocation("2026-11-29", "")})
    [(_tier, detail)] = judge(make_record(), policy=policy)
    assert "by alice of team 'operations', whose key was revoked on 2026-11-29; expected team operations" in detail


def test_a_moved_tag_is_found():
    moved = {**MANIFESTS, "shop": digest("old"), "new": digest("new")}
    assert judge(make_record(), tags=moved) == [
        ("shop", f"moved tag: it names {digest('old')}, but release 17 has {MANIFESTS['shop']}"),
        ("new", f"moved tag: it names {digest('new')}, but release 17 has no such tier"),
    ]


def test_all_faults_are_named():
    record = make_record(serial=3, chain="lab", expires=text(NOW))
    assert len(judge(record, tags={"shop": digest("old")})) == 4


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("2026-11-30T00:00:00Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.sampled_from(["chain", "serial", "previous", "created", "expires", "tiers"]), VALUES)
def test_no_record_leads_to_an_error(name, value):
    judge(make_record(**{name: value}))
