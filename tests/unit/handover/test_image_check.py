"""Images of others are checked before they are used, and nothing is changed if one is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody import freshness
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.policy_check import PolicyCheck
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.choose_images import choose_image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import Image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    DamagedError,
    EngineUnavailableError,
    TrustError,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover import followed_image, taking
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.followed_image import (
    check_update,
    look_up,
    take_followed,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.image_check import (
    UNVERIFIED,
    ImageChecker,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.published_image import read_published
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.taking import take_kept
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.evidence import GATE, PROVENANCE, SIGNATURE
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy import read_policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import write_bundle
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import sign_statement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_writer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.referrers import fallback_tag
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from fake_registry import digest, fake_registry
from published_chain import RECORD, PublishedChain
from signed_chain import KeyInMemory, SignedChain

pytestmark = pytest.mark.once

TIER = "httpd-php"
ELSE = "without tier_shared_cache, it is built here"
RELEASES = {"teams": ["operations"], "valid": 21}


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(registry_writer, "_LOOKS", (0,))
    monkeypatch.setattr(freshness, "_PAUSES", (0.0,))


class World:
    """A consumer of the published chain, with a policy."""

    def __init__(self, published):
        self.published, self.chain, self.registry = published, published.chain, published.registry
        self.lines = []
        self.policy = self.read_policy(releases=RELEASES)
        self.connect = Registries().reader
        self.downloads = []

    def read_policy(self, tiers=None, **more):
        return read_policy(json.dumps(self.chain.policy(tiers or {}, **more)).encode(), "the policy")

    def checker(self):
        check = PolicyCheck(self.policy, datetime.now(UTC))
        return ImageChecker(self.connect, self.lines.append, check.image, check.release, check.read_layers)

    @property
    def tier(self):
        image = self.published.name(TIER)
        return Tier(name=TIER, team="middleware", image=image, tag="latest", source=Follow(image, "latest"))

    def update(self):
        """Look up the followed image, as `tierwright update` does before it writes the lock file."""
        found = look_up(self.connect, self.tier)
        check_update(self.checker(), self.tier, found)
        return found.locked

    def take(self, locked, image=None):
        """Take the locked image into the engine, as a plan does."""
        engine = SimpleNamespace(tagged=[])
        engine.images = SimpleNamespace(
            find=lambda _reference: image, tag=lambda *arguments: engine.tagged.append(arguments)
        )
        decision = Decision(self.tier, Action.KEEP, (), locked.config, {})
        take_followed(engine, [decision], {TIER: locked}, self.connect, self.lines.append, self.checker())
        return engine.tagged

    def take_shared(self):
        """Take the image from the shared cache into the engine, as a plan does."""
        image = read_published(self.connect(self.registry.host), f"shop/{TIER}", "latest")
        shared = SimpleNamespace(found={image.document.id: image}, tested=[])
        images = SimpleNamespace(find=lambda _reference: None, tag=lambda *_arguments: None)
        decision = Decision(self.tier, Action.KEEP, (), image.document.id, {})
        return take_kept(SimpleNamespace(images=images), [decision], shared, self.lines.append, self.checker())

    def deploy(self, tag=":latest"):
        return choose_image("web", self.published.name(TIER) + tag, self.connect, None, self.checker())


@pytest.fixture(scope="module")
def published():
    with fake_registry() as registry:
        yield PublishedChain(registry, SignedChain())


@pytest.fixture
def world(published, monkeypatch):
    published.restore()
    world = World(published)

    def download(_engine, images, _say):
        world.downloads += images
        return [SimpleNamespace(id=each.document.id, labels=each.document.labels) for each in images]

    monkeypatch.setattr(followed_image, "download", download)
    monkeypatch.setattr(taking, "download", download)
    monkeypatch.setattr(followed_image.platform, "check", lambda *_arguments: None)
    return world


def test_a_signed_image_is_used_everywhere(world):
    locked = world.update()
    assert locked.digest == digest(world.chain[TIER].manifest)
    assert len(world.take(locked)) == 1
    assert world.take_shared() == [TIER]
    assert world.deploy().config == digest(world.chain[TIER].document)
    assert world.lines == []


def no_records(world):
    for tier in world.published.tiers:
        del world.registry.tags[f"shop/{tier}", fallback_tag(digest(world.chain[tier].manifest))]


def flipped_records(world):
    for key, content in world.published.records(TIER):
        world.registry.blobs[f"shop/{TIER}", key] = content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


def flipped_records_of_the_parent(world):
    for key, content in world.published.records("corebuild"):
        world.registry.blobs["shop/corebuild", key] = content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


def revoked_key(world):
    new = {"middleware": {"keys": {"new": KeyInMemory().public_key.pem, "mia": world.chain.keys["mia"].public_key.pem}}}
    teams = {**world.chain.policy()["teams"], **new}
    key = world.chain.keys["mia"].public_key.id
    world.policy = world.read_policy(releases=RELEASES, revoked={key: "2026-11-30 laptop lost"}, teams=teams)


def wrong_team(world):
    world.policy = world.read_policy({TIER: {"team": "development"}}, releases=RELEASES)


def too_few_signatures(world):
    world.policy = world.read_policy({"corebuild": {"signatures": 2}}, releases=RELEASES)


def forbidden_path(world):
    world.policy = world.read_policy({TIER: {"writes": ["/usr/**"]}}, releases=RELEASES)


def unknown_updates(world):
    world.policy = world.read_policy(releases=RELEASES, outdated={"*": 30})


REFUSED = [
    (no_records, "'httpd-php', provenance"),
    (flipped_records, "'httpd-php', provenance"),
    (flipped_records_of_the_parent, "'corebuild', provenance"),
    (revoked_key, "laptop lost"),
    (wrong_team, "team 'development'"),
    (too_few_signatures, "'corebuild'"),
    (forbidden_path, "writes /etc/httpd-php; allowed are /usr/**"),
    (unknown_updates, "'base', outdated: it is not known which security updates are missing: its image has no package"),
]


@pytest.mark.parametrize(("tamper", "reason"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_an_image_that_the_policy_refuses_is_used_nowhere(world, tamper, reason):
    locked = look_up(world.connect, world.tier).locked
    tamper(world)
    for use, subject in (
        (world.update, "tier 'httpd-php' is not updated"),
        (partial(world.take, locked), "tier 'httpd-php' is not used"),
        (world.take_shared, f"tier 'httpd-php' is not taken from the shared cache ({ELSE})"),
        (world.deploy, "service 'web' is not deployed"),
    ):
        with pytest.raises(TrustError) as refused:
            use()
        assert str(refused.value).startswith(f"{subject}: the policy refuses {world.published.name(TIER)}")
        assert reason in str(refused.value)
    assert world.downloads == []


def expired(world):
    world.published.release(2, days=-1)


def wrong_signer(world):
    world.published.release(2, "dan")


def no_release(world):
    del world.registry.tags[f"shop/{TIER}", RECORD]


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (expired, "expired on"),
        (wrong_signer, "signed by the wrong team: by dan"),
        (no_release, "there is no release record"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_tag_that_is_not_the_newest_release_is_not_followed(world, tamper, reason):
    locked = look_up(world.connect, world.tier).locked
    tamper(world)
    with pytest.raises(TrustError, match=f"^tier 'httpd-php' is not updated: .*{reason}"):
        world.update()
    with pytest.raises(TrustError, match=f"^service 'web' is not deployed: .*{reason}"):
        world.deploy()
    assert len(world.take(locked)) == 1  # a digest in Git does not depend on a tag
    assert world.deploy(f"@{locked.digest}").config == locked.config


def test_a_replayed_release_is_not_followed(world):
    old = world.registry.tags[f"shop/{TIER}", RECORD]
    world.published.release(2)
    world.update()
    world.registry.tags[f"shop/{TIER}", RECORD] = old
    with pytest.raises(TrustError, match="release record 1 was replayed: record 2 was seen before"):
        world.update()
    with pytest.raises(TrustError, match="replayed"):
        world.deploy()


class Older(int):
    """The number of a tier, in an older version of its image."""

    def __str__(self):
        return "older"


def test_a_tag_that_was_moved_back_is_not_followed(world):
    """The older image is well signed: only the release record tells."""
    older = world.chain._make(TIER, "middleware", Older(2), world.chain["corebuild"])
    older.bundles = [world.chain.bundle(statement, "mia") for statement in older.statements.values()]
    manifest = world.published.put(older, "latest")
    locked = look_up(world.connect, world.tier).locked
    assert locked.digest == manifest
    assert len(world.take(locked)) == 1
    for use in (world.update, world.deploy):
        with pytest.raises(TrustError, match=f"moved tag: it names {manifest}, but release 1 has"):
            use()


def test_an_image_that_is_locked_needs_no_release_record(world):
    locked = world.update()
    no_release(world)
    assert len(world.take(locked)) == 1


def test_a_list_without_end_is_an_error_with_the_subject(world):
    manifest = digest(world.chain[TIER].manifest)
    entries = [
        {"digest": digest(b"%d" % number), "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json"}
        for number in range(10_000)
    ]
    tag = fallback_tag(manifest)
    index = json.loads(world.registry.manifests[f"shop/{TIER}", world.registry.tags[f"shop/{TIER}", tag]])
    index["manifests"] += entries
    world.registry.put(f"shop/{TIER}", tag, json.dumps(index).encode())
    with pytest.raises(DamagedError, match="at most 1000 are allowed"):
        world.update()


def test_a_registry_that_fails_is_not_a_refusal(world):
    found = look_up(world.connect, world.tier)
    world.registry.fault = lambda _method, path: 500 if "/manifests/sha256" in path else None
    with pytest.raises(EngineUnavailableError, match="HTTP status 500"):
        check_update(world.checker(), world.tier, found)


def test_verified_records_are_kept_so_a_locked_image_needs_no_registry_later(world):
    locked = world.update()
    image = world.chain[TIER]
    held = Image(locked.config, image.identity.labels, image.identity.layers, {}, (), 1, "amd64", "linux")
    world.registry.requests.clear()
    assert world.take(locked, held) == []
    assert world.registry.requests == []
    kept = [bundle for _title, bundle in LocalRecords().of_config(locked.config)]
    assert sorted(kept) == sorted(image.bundles)


def test_refused_records_are_not_kept(world):
    wrong_team(world)
    with pytest.raises(TrustError):
        world.update()
    assert LocalRecords().configs() == []


def test_an_image_of_the_engine_is_deployed_with_local_records_only(world):
    image = world.chain[TIER]
    held = Image(digest(image.document), image.identity.labels, image.identity.layers, {}, (), 1, "amd64", "linux")
    engine = SimpleNamespace(images=SimpleNamespace(find=lambda _name: held, engine_name=lambda image_id: image_id))
    with pytest.raises(
        TrustError, match=r"^service 'web' is not deployed: the policy refuses web:1: .*tier 'httpd-php'"
    ):
        choose_image("web", "web:1", world.connect, engine, world.checker())
    for tier in ("base", "corebuild", TIER):
        for bundle in world.chain[tier].bundles:
            LocalRecords().add(digest(world.chain[tier].document), bundle)
    assert choose_image("web", "web:1", world.connect, engine, world.checker()).is_local


def test_without_a_policy_nothing_is_verified_and_this_is_said_once(world):
    no_records(world)
    checker = ImageChecker(world.connect, world.lines.append)
    before = len(world.registry.requests)
    for _time in range(2):
        check_update(checker, world.tier, look_up(world.connect, world.tier))
    choose_image("web", f"{world.published.name(TIER)}:latest", world.connect, None, checker)
    assert world.lines == [UNVERIFIED]
    assert not any(RECORD in path for _method, path in world.registry.requests[before:])


def test_without_a_policy_the_shared_cache_works_as_before(world, monkeypatch):
    monkeypatch.setattr(world, "checker", lambda: ImageChecker(world.connect, pytest.fail))
    assert world.take_shared() == [TIER]


@pytest.mark.parametrize("use", ["update", "take", "deploy"])
def test_a_check_that_refuses_is_asked_before_anything_is_done(world, use, monkeypatch):
    asked = []

    def refuse(image, _sources, subject):
        asked.append((image.config, image.manifest, subject))
        raise TrustError(f"{subject}: no")

    locked = look_up(world.connect, world.tier).locked
    monkeypatch.setattr(world, "checker", lambda: ImageChecker(world.connect, world.lines.append, refuse))
    with pytest.raises(TrustError, match=r"'(httpd-php|web)' is not \w+: no"):
        world.take(locked) if use == "take" else getattr(world, use)()
    image = world.chain[TIER]
    assert {each[:2] for each in asked} == {(digest(image.document), digest(image.manifest))}
    assert world.downloads == []


def pulled_identity(world):
    image = world.chain["base"]
    return SimpleNamespace(config=digest(image.document), layers=image.identity.layers, labels={})


class Pulled:
    """A base whose image a vendor publishes."""

    def __init__(self, world):
        self.world, self.image, self.vendor = world, world.chain["base"], KeyInMemory()
        self.reference = f"{world.published.name('base')}@{digest(self.image.manifest)}"
        world.policy = world.read_policy({"base": {"signed_by": {"vendor": self.vendor.public_key.pem}}})

    def sign(self, tier, kind):
        """Let the vendor sign a statement about the image of a tier, and attach it to the base."""
        envelope = sign_statement(self.world.chain[tier].statements[kind], self.vendor)
        self.world.published.attach(self.image, [write_bundle(envelope, self.vendor.public_key)])

    def check(self):
        check = PolicyCheck(self.world.policy, datetime.now(UTC)).pulled("base")
        self.world.checker().check_pulled(check, "base", pulled_identity(self.world), self.reference)


def test_a_pulled_base_must_be_signed_by_others(world):
    pulled = Pulled(world)
    name = pulled.reference
    with pytest.raises(TrustError) as refused:
        pulled.check()
    start = f"tier 'base' is not made from {name}: the policy refuses {name}: tier 'base', signature"
    assert str(refused.value).startswith(start)
    pulled.sign("base", SIGNATURE)
    pulled.check()


def test_a_signature_of_another_image_is_not_that_of_the_pulled_base(world):
    pulled = Pulled(world)
    for tier, kind in (("base", PROVENANCE), ("base", GATE), ("corebuild", SIGNATURE)):
        pulled.sign(tier, kind)
    with pytest.raises(TrustError, match="tier 'base', signature"):
        pulled.check()


def test_a_base_that_nobody_else_must_sign_is_not_checked(world):
    assert PolicyCheck(world.policy, datetime.now(UTC)).pulled("base") is None
    assert PolicyCheck(world.policy, datetime.now(UTC)).pulled("unknown") is None


@pytest.mark.parametrize(
    ("name", "host", "repository"),
    [
        ("debian", "registry-1.docker.io", "library/debian"),
        ("team/debian", "registry-1.docker.io", "team/debian"),
        ("docker.io/library/debian", "registry-1.docker.io", "library/debian"),
        ("registry.example.org/debian", "registry.example.org", "debian"),
    ],
)
def test_records_of_a_pulled_base_are_looked_for_in_its_registry(world, name, host, repository):
    asked = []

    def check(image, sources, subject):
        for source in sources:
            list(source.bundles(image))
        raise TrustError(subject)

    def connect(wanted):
        asked.append(wanted)
        return world.connect(world.registry.host)

    checker = ImageChecker(connect, world.lines.append, check)
    with pytest.raises(TrustError, match=f"tier 'base' is not made from {name}@sha256:"):
        checker.check_pulled(check, "base", pulled_identity(world), f"{name}@{digest(b'x')}")
    assert asked == [host]
    assert any(path.startswith(f"/v2/{repository}/referrers/") for _method, path in world.registry.requests)
