"""Replayed, expired and foreign release records are found, and tags that somebody moved."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import local_files
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody import freshness
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.bundle_artifact import make_artifact
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.freshness import (
    ExpectedRelease,
    check_release,
    require_release,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.registry_records import RegistryPlace
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.release_memory import (
    read_seen,
    remember,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.release_record import (
    ChainRelease,
    ReleasedTier,
    read_release,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    DamagedError,
    EngineUnavailableError,
    TrustError,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.evidence import RELEASE
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.freshness import SeenRelease
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.link import failed
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy import Policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.rules import ReleaseRule, Revocation, Team
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import write_bundle
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import (
    IN_TOTO,
    sign,
    sign_statement,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import Statement, Subject
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client, registry_writer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.referrers_writer import write_artifact
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_client import RegistryClient
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from fake_registry import digest, fake_registry
from made_records import KeyInMemory

pytestmark = pytest.mark.once

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
ALICE, MIA, STRANGER = KeyInMemory(), KeyInMemory(), KeyInMemory()
IMAGES = [json.dumps({"config": {"digest": digest(b"%d" % number)}}).encode() for number in range(3)]
TAG = "release-record"


def policy(**more):
    return Policy(
        **{
            "version": 1,
            "expires": NOW + timedelta(days=99),
            "digest": digest(b"policy"),
            "teams": {
                "operations": Team("operations", {"alice": ALICE.public_key}),
                "middleware": Team("middleware", {"mia": MIA.public_key}),
            },
            "tiers": {},
            "releases": ReleaseRule(("operations",), 14),
            **more,
        }
    )


def record(serial=1, image=0, **changes):
    """Release `serial` of chain ops, in which core has an image."""
    return ChainRelease(
        **{
            "chain": "ops",
            "serial": serial,
            "previous": digest(b"before") if serial > 1 else None,
            "created": NOW - timedelta(hours=1),
            "expires": NOW + timedelta(days=13),
            "tiers": {"core": ReleasedTier(digest(IMAGES[image]), digest(b"c"), "latest", "release-20261201T100000Z")},
            **changes,
        }
    )


class World:
    """A repository, and a consumer of it."""

    def __init__(self, registry):
        self.registry, self.policy = registry, policy()
        self.name = f"{registry.host}/ops/core"
        for image in IMAGES:
            registry.put("ops/core", digest(image), image)
        self.tag("latest", 0)

    def tag(self, tag, image):
        self.registry.tags["ops/core", tag] = digest(IMAGES[image])

    def put(self, wanted, key=ALICE):
        """Sign a record, and let the tag name it. Return the digest of what was signed."""
        bundle = write_bundle(sign_statement(wanted.statement, key), key.public_key)
        self.put_bundle(bundle)
        return read_release(bundle, [], "x").digest

    def put_bundle(self, bundle):
        artifact = make_artifact(bundle, "x")
        write_artifact(RegistryWriter(self.registry.host), "ops/core", artifact, TAG)

    def check(self, tag="latest", image=0, chain="ops", now=NOW):
        place = RegistryPlace(RegistryClient(self.registry.host), "ops/core", digest(IMAGES[image]))
        expected = ExpectedRelease(chain, "core", tag, self.name, digest(IMAGES[image]))
        return check_release(self.policy, place, expected, now)

    def refused(self, **more):
        """Check that the image is refused, and return why and what to do."""
        links = failed(self.check(**more))
        assert {(link.tier, link.name) for link in links} == {("core", "freshness")}
        assert all(link.action for link in links)
        return " | ".join(f"{link.detail}; {link.action}" for link in links)

    def passes(self, **more):
        links = self.check(**more)
        return bool(links) and not failed(links)

    def seen(self):
        return read_seen("ops", self.name)


@pytest.fixture
def world(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(registry_client, "_DELAYS", ())
    monkeypatch.setattr(registry_writer, "_LOOKS", (0,))
    monkeypatch.setattr(freshness, "_PAUSES", (0.0, 0.05))
    with fake_registry() as registry:
        yield World(registry)


def test_the_newest_release_passes_and_is_remembered(world):
    signed = world.put(record(7))
    (link,) = world.check()
    assert (link.ok, link.tier, link.name) == (True, "core", "freshness")
    assert "release 7 of chain 'ops', valid until 2026-12-14, signed by alice" in link.detail
    assert world.seen() == SeenRelease(7, signed)
    world.tag("release-20261201T100000Z", 0)
    assert world.passes(tag="release-20261201T100000Z")


def test_a_policy_without_releases_asks_for_none(world):
    world.policy = policy(releases=None)
    assert world.check() == []
    assert world.registry.requests == []


def test_the_next_release_passes(world):
    before = world.put(record(1))
    world.check()
    world.put(record(2, 1, previous=before))
    world.tag("latest", 1)
    assert world.passes(image=1)
    world.put(record(9, 2))  # releases in between were not seen
    world.tag("latest", 2)
    assert world.passes(image=2)
    assert world.seen().serial == 9


def test_a_replayed_release_is_refused(world):
    world.put(record(7))
    old = world.registry.tags["ops/core", TAG]
    world.put(record(8, 1))
    assert world.passes(image=1)
    world.registry.tags["ops/core", TAG] = old
    message = world.refused()
    assert "the release record 7 was replayed: record 8 was seen before" in message
    assert "ask the owner of the registry why an old record came back" in message
    assert world.seen().serial == 8


def test_a_removed_record_is_refused(world):
    assert "there is no release record" in world.refused()
    world.put(record(3))
    world.check()
    del world.registry.tags["ops/core", TAG]
    assert "there is no release record" in world.refused()


def test_a_registry_that_is_frozen_is_found_when_its_release_expires(world):
    world.put(record())
    assert world.passes(now=NOW + timedelta(days=12, hours=23))
    message = world.refused(now=NOW + timedelta(days=13))
    assert "expired on 2026-12-14 (frozen registry?)" in message


def test_a_record_that_never_expires_is_refused(world):
    world.put(record(expires=NOW + timedelta(days=999)))
    assert "is valid for 999 days; the policy allows 14" in world.refused()


def test_a_record_of_the_future_is_refused(world):
    world.put(record(created=NOW + timedelta(days=2), expires=NOW + timedelta(days=9)))
    assert "in the future; correct the clock" in world.refused()


def test_a_record_of_another_chain_is_refused(world):
    world.put(record(chain="shop"))
    assert "is that of chain 'shop'; expected 'ops'" in world.refused()
    assert world.seen() is None


@pytest.mark.parametrize(
    ("key", "who"),
    [(MIA, "mia of team 'middleware'"), (STRANGER, "no key that the policy knows")],
    ids=["another team", "a stranger"],
)
def test_a_record_of_a_wrong_signer_is_refused(world, key, who):
    world.put(record(99), key)
    assert f"is signed by the wrong team: by {who}; expected team operations" in world.refused()
    assert world.seen() is None


def test_a_record_of_a_revoked_key_is_refused(world):
    world.policy = policy(revoked={ALICE.public_key.id: Revocation("2026-11-30", "laptop lost")})
    world.put(record())
    assert "whose key was revoked on 2026-11-30 (laptop lost)" in world.refused()


def test_a_tag_that_was_moved_back_is_refused(world):
    world.put(record(2, 1))
    message = world.refused(image=0)
    assert f"moved tag: it names {digest(IMAGES[0])}, but release 2 has {digest(IMAGES[1])}" in message
    assert world.seen().serial == 2


def test_a_tag_that_is_not_released_is_refused(world):
    world.put(record())
    assert f"says nothing about the tag stable; use {world.name}:latest, or a digest" in world.refused(tag="stable")


def test_a_tier_that_is_not_released_is_refused(world):
    world.put(record(tiers={"web": ReleasedTier(digest(IMAGES[0]), digest(b"c"), "latest")}))
    assert "release 1 has no such tier" in world.refused()


def test_two_records_with_one_number_are_refused(world):
    world.put(record(5))
    world.check()
    world.put(record(5, created=NOW - timedelta(hours=2)))
    assert "a different record with this number was seen before" in world.refused()


def test_a_record_that_does_not_follow_the_seen_one_is_refused(world):
    world.put(record(5))
    world.check()
    world.put(record(6, previous=digest(b"a different history")))
    assert "does not follow record 5" in world.refused()
    assert world.seen().serial == 5


def test_a_publication_that_goes_on_is_waited_for(world, monkeypatch):
    world.put(record(1))
    world.tag("latest", 1)  # its image moved, and its record will
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            world.put(record(2, 1))

    monkeypatch.setattr(freshness, "time", SimpleNamespace(sleep=sleep))
    assert world.passes(image=1)
    assert pauses == [0.0, 0.05]


def test_a_tag_that_moves_while_it_is_read_is_named(world):
    world.put(record(2, 1))
    world.tag("latest", 1)
    assert f"{world.name}:latest moved while it was read; start again" in world.refused(image=0)


def test_an_image_that_is_refused_is_named_with_the_subject(world):
    place = RegistryPlace(RegistryClient(world.registry.host), "ops/core", digest(IMAGES[0]))
    expected = ExpectedRelease("ops", "core", "latest", world.name, digest(IMAGES[0]))
    with pytest.raises(TrustError, match=r"^tier 'core' is not updated: .*/ops/core:latest: there is no release"):
        require_release(world.policy, place, expected, NOW, "tier 'core' is not updated")
    world.put(record())
    require_release(world.policy, place, expected, NOW, "tier 'core' is not updated")


def test_a_flipped_record_is_refused(world):
    world.put(record())
    for key, content in world.registry.blobs.items():
        world.registry.blobs[key] = content.replace(b"dsseEnvelope", b"dsseenvelope")
    assert "is damaged: it has the digest" in world.refused()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x", "is not JSON"),
        (b'{"layers": []}', "names something else"),
        (IMAGES[0], "names something else"),
        (b'{"layers": [{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}]}', "its layer has the digest"),
    ],
)
def test_something_else_under_the_tag_is_refused(world, content, message):
    world.registry.put("ops/core", TAG, content)
    assert message in world.refused()


def test_a_bundle_that_is_no_release_is_refused(world):
    statement = Statement((Subject("core", digest(IMAGES[0])),), "https://slsa.dev/provenance/v1", {})
    world.put_bundle(write_bundle(sign_statement(statement, ALICE), ALICE.public_key))
    assert "is a statement of type 'https://slsa.dev/provenance/v1'" in world.refused()


def test_a_registry_that_fails_is_an_error_and_not_a_missing_record(world):
    world.put(record())
    world.registry.fault = lambda _method, path: 500 if TAG in path else None
    with pytest.raises(EngineUnavailableError, match="HTTP status 500"):
        world.check()


def test_a_damaged_memory_is_an_error(world):
    world.put(record())
    world.check()
    (path,) = (local_files.state() / "+releases").glob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{}")
    with pytest.raises(TrustError, match=r"is damaged .* could not be recognised; remove the file if"):
        world.check()


def test_a_memory_of_another_repository_is_an_error(world):
    remember("ops", world.name, SeenRelease(1, digest(b"x")))
    (path,) = (local_files.state() / "+releases").glob("*.json")
    path.write_text(path.read_text().replace("ops/core", "ops/else"))
    with pytest.raises(TrustError, match="is about"):
        world.check()


def test_the_memory_never_falls(world):
    for serial in (3, 5, 4):
        remember("ops", world.name, SeenRelease(serial, digest(b"%d" % serial)))
    assert world.seen().serial == 5


def test_a_memory_that_cannot_be_written_is_an_error(world, tmp_path):
    (tmp_path / "state").write_text("a file")
    world.put(record())
    with pytest.raises(TrustError):
        world.check()


def signed_predicate(predicate, subjects):
    statement = Statement(tuple(subjects), RELEASE, predicate)
    return write_bundle(sign_statement(statement, ALICE), ALICE.public_key)


GOOD = record().statement.predicate


@pytest.mark.parametrize(
    "changes",
    [
        {"chain": ""},
        {"chain": "a\x1b[31m"},
        {"serial": 0},
        {"serial": True},
        {"serial": 1.0},
        {"serial": "1"},
        {"serial": 10**30},
        {"previous": digest(b"x")},
        {"serial": 2, "previous": None},
        {"serial": 2, "previous": "../x"},
        {"created": "2026-13-01T00:00:00Z"},
        {"expires": "tomorrow"},
        {"expires": 7},
        {"tiers": {}},
        {"tiers": []},
        {"tiers": {"core": 7}},
        {"tiers": {"core": {**GOOD["tiers"]["core"], "manifest": "x"}}},
        {"tiers": {"": GOOD["tiers"]["core"]}},
    ],
)
def test_a_malformed_record_is_damaged(changes):
    with pytest.raises(DamagedError):
        read_release(signed_predicate({**GOOD, **changes}, record().statement.subjects), [], "x")


@pytest.mark.parametrize(
    "subjects",
    [
        [Subject("core", digest(IMAGES[1]))],
        [Subject("web", digest(IMAGES[0]))],
        [Subject("core", digest(IMAGES[0])), Subject("extra", digest(b"y"))],
        [Subject("core", digest(IMAGES[0]))] * 2,
    ],
)
def test_subjects_must_be_exactly_the_images(subjects):
    with pytest.raises(DamagedError, match="its subjects are not the images that it names"):
        read_release(signed_predicate(GOOD, subjects), [], "x")


def test_a_payload_of_another_type_is_damaged():
    envelope = sign(json.dumps({}).encode(), "text/plain", ALICE)
    with pytest.raises(DamagedError, match="payload type 'text/plain'"):
        read_release(write_bundle(envelope, ALICE.public_key), [], "x")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "manifest"]), values),
    max_leaves=12,
)


@given(_JSON)
def test_wild_statements_are_damaged(value):
    payload = {"_type": "https://in-toto.io/Statement/v1", "predicateType": RELEASE, "predicate": value, "subject": []}
    for content in (value, payload, {**payload, "subject": [{"digest": {"sha256": "0" * 64}}]}):
        envelope = sign(json.dumps(content).encode(), IN_TOTO, ALICE)
        with pytest.raises(DamagedError):
            read_release(write_bundle(envelope, ALICE.public_key), [], "x")
