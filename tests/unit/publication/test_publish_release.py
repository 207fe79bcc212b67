"""The release record of a chain: its number rises, it names the record before it, and it is renewed in time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.bundle_artifact import make_artifact
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.release_reader import read_tagged
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.release_record import (
    ChainRelease,
    ReleasedTier,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, RunError, TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.parent_process import ParentProcess
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy import Policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.rules import ReleaseRule, Revocation, Team
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publication import (
    Publication,
    SignedParts,
    candidate_tags,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publish_release import (
    ReleasePublisher,
    ReleaseSigning,
    choose_signing,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.registry_tags import (
    finish_moves,
    move_tags,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import BUNDLE, write_bundle
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import sign_statement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import state_folder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client, registry_writer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.referrers_writer import write_artifact
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from fake_registry import digest, fake_registry
from made_records import KeyInMemory
from published_images import publish, tier_layer

pytestmark = pytest.mark.once

START = datetime(2026, 11, 30, 12, tzinfo=UTC)
TAG = "release-record"


class World:
    """A chain core, web with repositories, and the time."""

    def __init__(self, registry, make_tier):
        self.registry, self.lines, self.now = registry, [], START
        self.registries, self.key = Registries(), KeyInMemory()
        self.images, self.manifests = {}, {}
        self.make_tier, self.names = make_tier, ["core", "web"]
        for name in self.names:
            self.put(name, 1)

    def put(self, name, version):
        self.manifests[name], config = publish(
            self.registry, f"ops/{name}", "new", [tier_layer(version)], owners=[name]
        )
        self.images[name] = SimpleNamespace(id=config, labels={}, layers=())

    @property
    def chain(self):
        parents = [None, *self.names]
        return Chain(
            self.make_tier(name, parent, image=f"{self.registry.host}/ops/{name}")
            for name, parent in zip(self.names, parents, strict=False)
        )

    def signing(self, **more):
        return ReleaseSigning(**{"signer": self.key, "now": lambda: self.now, **more})

    def published(self, *names):
        return [
            SimpleNamespace(tier=self.chain[name], manifest=self.manifests[name], image=self.images[name], moves=())
            for name in names or self.names
        ]

    def prepare(self, *names, **more):
        connect = self.registries.writer
        publisher = ReleasePublisher("shop", self.chain, self.signing(**more), connect, self.lines.append)
        return publisher.prepare(self.published(*names), {"core": "release-20261130T120000Z"})

    def release(self, *names, **more):
        """Make a release, and move its tags."""
        moves = self.prepare(*names, **more)
        move_tags("shop", moves, self.registries.writer, ParentProcess())
        return moves

    def read(self, name="core"):
        return read_tagged(self.registries.reader(self.registry.host), f"ops/{name}", [self.key.public_key]).release

    def serial(self, name="core"):
        return self.read(name).record.serial

    def put_record(self, name, key=None, **changes):
        """Put a forged record into a repository."""
        values = {
            "chain": "shop",
            "serial": 90,
            "previous": digest(b"x"),
            "created": START,
            "expires": START + timedelta(days=900),
            "tiers": {name: ReleasedTier(digest(b"m"), digest(b"c"), "latest")},
            **changes,
        }
        signer = key or self.key
        bundle = write_bundle(sign_statement(ChainRelease(**values).statement, signer), signer.public_key)
        write_artifact(self.registries.writer(self.registry.host), f"ops/{name}", make_artifact(bundle, "x"), TAG)


@pytest.fixture
def world(monkeypatch, tmp_path, make_tier):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(registry_client, "_DELAYS", ())
    monkeypatch.setattr(registry_writer, "_LOOKS", (0,))
    with fake_registry() as registry:
        yield World(registry, make_tier)


def test_the_first_record_names_all_tiers(world):
    moves = world.release()
    assert [(move.repository, move.tag, move.before) for move in moves] == [
        ("ops/core", TAG, None),
        ("ops/web", TAG, None),
    ]
    assert world.read("core") == world.read("web")
    record = world.read().record
    assert (record.chain, record.serial, record.previous) == ("shop", 1, None)
    assert (record.created, record.expires) == (START, START + timedelta(days=14))
    assert record.tiers == {
        "core": ReleasedTier(world.manifests["core"], world.images["core"].id, "latest", "release-20261130T120000Z"),
        "web": ReleasedTier(world.manifests["web"], world.images["web"].id, "latest"),
    }
    assert world.lines == ["release record 1 of chain 'shop' is valid until 2026-12-14"]


def test_the_tag_names_an_artifact_with_the_bundle(world):
    world.release()
    document = json.loads(world.registry.manifests["ops/core", world.registry.tags["ops/core", TAG]])
    assert document["artifactType"] == BUNDLE
    assert "subject" not in document
    assert [each["mediaType"] for each in document["layers"]] == [BUNDLE]
    assert document["annotations"]["dev.sigstore.bundle.predicateType"] == "https://tierwright.github.io/release/v1"
    assert document["annotations"]["org.opencontainers.image.created"] == "2026-11-30T12:00:00Z"


def test_a_record_that_says_the_same_stays_for_half_of_its_life(world):
    world.release()
    world.now += timedelta(days=6, hours=23)
    world.registry.requests.clear()
    assert world.release() == []
    assert {method for method, _path in world.registry.requests} == {"GET"}
    world.now += timedelta(hours=1)
    first = world.read()
    assert len(world.release()) == 2
    record = world.read().record
    assert (record.serial, record.previous, record.expires) == (2, first.digest, START + timedelta(days=21))


def test_a_changed_image_makes_a_new_record(world):
    world.release()
    world.put("web", 2)
    world.release()
    assert world.serial() == 2
    assert world.read().record.tiers["web"].manifest == world.manifests["web"]


def test_the_policy_says_how_long_a_record_is_valid(world):
    world.release(valid=timedelta(days=3))
    assert world.read().record.expires == START + timedelta(days=3)


def test_tiers_that_are_not_selected_keep_their_entry_and_their_repository(world):
    world.release()
    before = world.manifests["web"]
    world.put("core", 2)
    world.put("web", 2)
    (move,) = world.release("core")
    assert move.repository == "ops/core"
    assert (world.serial("core"), world.serial("web")) == (2, 1)
    assert world.read().record.tiers["web"].manifest == before


def test_a_repository_that_lacks_the_record_gets_it(world):
    world.release("core")
    (move,) = world.release("core", "web")[1:]
    assert move.repository == "ops/web"
    assert world.read("core") == world.read("web")


def test_a_tier_that_left_the_chain_leaves_the_record(world):
    world.release()
    world.names.remove("web")
    world.release()
    assert world.read().record.tiers.keys() == {"core"}
    assert world.serial() == 2


def test_the_number_goes_on_on_a_machine_without_memory(world, monkeypatch, tmp_path):
    world.release()
    first = world.read()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    world.put("core", 2)
    world.release()
    assert (world.serial(), world.read().record.previous) == (2, first.digest)


def test_the_number_goes_on_after_the_registry_was_set_back(world):
    world.release()
    old = world.registry.tags["ops/core", TAG]
    world.put("core", 2)
    world.release()
    world.registry.tags["ops/core", TAG] = world.registry.tags["ops/web", TAG] = old
    assert len(world.release()) == 2
    assert world.serial() == 2
    assert "has release record 1, the newest is 2" in "".join(world.lines)
    world.put("core", 3)
    del world.registry.tags["ops/core", TAG], world.registry.tags["ops/web", TAG]
    world.release()
    assert world.serial() == 3


def test_a_record_of_an_unknown_key_is_not_continued(world):
    world.put_record("core", KeyInMemory())
    world.release()
    assert world.serial() == 1
    assert "is of chain 'shop' and signed by no known key; it is replaced" in "".join(world.lines)


def test_a_record_of_another_chain_is_not_continued(world):
    world.put_record("core", chain="other")
    world.release()
    assert (world.serial(), world.read().record.chain) == (1, "shop")


def test_a_record_of_another_key_of_the_policy_is_continued_and_stays(world):
    other = KeyInMemory()
    keys = {"keys": (other.public_key,)}
    world.release(signer=other)
    (state_folder("shop") / "release-record.json").unlink()
    assert world.release(**keys) == []
    world.put("core", 2)
    world.release(**keys)
    assert world.serial() == 2


def test_a_record_of_a_key_that_may_not_sign_any_more_is_replaced_with_the_next_number(world):
    revoked = KeyInMemory()
    world.release(signer=revoked)
    (state_folder("shop") / "release-record.json").unlink()
    world.release(earlier=(revoked.public_key,))
    assert (world.serial(), world.read().signed.signers) == (2, (world.key.public_key,))


def test_a_damaged_record_is_replaced(world):
    world.release()
    for key, content in world.registry.blobs.items():
        if b"dsseEnvelope" in content:
            world.registry.blobs[key] = content.replace(b"A", b"B")
    world.put("core", 2)
    world.release()
    assert world.serial() == 2
    assert any("is damaged" in line and "it is replaced" in line for line in world.lines)


def test_something_else_under_the_tag_is_replaced(world):
    world.registry.put("ops/core", TAG, b'{"layers": []}')
    world.release()
    assert world.serial() == 1
    assert "names something else; it is replaced" in "".join(world.lines)


def test_a_damaged_memory_is_set_aside_and_the_registry_counts(world):
    world.release()
    path = state_folder("shop") / "release-record.json"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{")
    world.put("core", 2)
    world.release()
    assert world.serial() == 2
    assert any("release-record.json.damaged" in line for line in world.lines)


def test_a_run_that_was_killed_before_the_tags_moved_uses_no_number_twice(world):
    world.release()
    world.put("core", 2)
    world.prepare()
    made = json.loads((state_folder("shop") / "release-record.json").read_bytes())
    assert world.serial() == 1
    world.release()
    assert world.serial() == 2
    assert json.loads(world.read().bundle) == made


def test_two_machines_with_the_same_number_go_on_with_the_next(world, monkeypatch, tmp_path):
    world.release()
    world.put("core", 2)
    world.prepare()  # this machine remembers record 2, and does not publish it
    own = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    world.now += timedelta(minutes=1)
    world.release()
    theirs = world.read()
    monkeypatch.setenv("XDG_STATE_HOME", str(own))
    world.release()
    assert (world.serial(), world.read().record.previous) == (3, theirs.digest)


def test_a_key_that_fails_moves_no_tag(world):
    def sign(_message):
        raise TrustError("the token was removed")

    signer = SimpleNamespace(public_key=world.key.public_key, sign=sign)
    with pytest.raises(TrustError, match="the release record of chain 'shop': the token was removed"):
        world.release(signer=signer)
    assert ("ops/core", TAG) not in world.registry.tags


def test_a_memory_that_cannot_be_written_moves_no_tag(world, tmp_path):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(RunError, match=r"cannot be remembered in .* so no tag moved; set XDG_STATE_HOME"):
        world.prepare()


@pytest.mark.parametrize("part", ["/manifests/release-record", "/blobs/"])
def test_a_registry_that_fails_makes_no_record(world, part):
    world.release()
    world.put("core", 2)
    world.registry.fault = lambda _method, path: 500 if part in path else None
    with pytest.raises(EngineError, match="the release record of chain 'shop'"):
        world.prepare()


def test_an_interrupted_move_of_the_record_is_finished(world):
    moves, allowed = world.prepare(), [None]
    world.registry.fault = lambda method, _path: (allowed.pop() if allowed else 500) if method == "PUT" else None
    with pytest.raises(EngineError, match="the next run moves the others"):
        move_tags("shop", moves, world.registries.writer, ParentProcess())
    world.registry.fault = lambda _method, _path: None
    finish_moves("shop", world.lines.append, world.registries.writer)
    assert world.read("core") == world.read("web")


class Sender:
    """A publication that sends nothing: the images are in the registry."""

    def __init__(self, world, choose_tags):
        parent, signed = ParentProcess(), SignedParts(releases=world.signing())
        self.publication = Publication(
            SimpleNamespace(), "shop", world.chain, world.registries, lambda _name: None, print, parent, signed
        )
        self.world, self.choose_tags = world, choose_tags

    def publish(self):
        for name, image in self.world.images.items():
            image.labels.update({"io.tierwright.tier": name})
            self.world.registry.tags.setdefault((f"ops/{name}", self.choose_tags(None, None)[-1]), digest(b"old"))
        published = self.publication.send(
            [self.world.chain["core"]], lambda tier: self.world.images[tier.name], self.choose_tags
        )
        return self.publication.move(published)


def test_the_tag_of_the_record_moves_last(world):
    world.registry.tags["ops/core", "latest"] = world.manifests["core"]
    sender = Sender(world, lambda _tier, _image: ["release-20261130T120000Z", "latest"])
    assert sender.publish()
    puts = [path for method, path in world.registry.requests if method == "PUT" and "/manifests/" in path]
    assert puts[-2:] == ["/v2/ops/core/manifests/release-20261130T120000Z", f"/v2/ops/core/manifests/{TAG}"]
    assert world.read().record.tiers["core"].release == "release-20261130T120000Z"
    assert not Sender(world, lambda _tier, _image: ["release-20261130T120000Z", "latest"]).publish()


def test_a_candidate_makes_no_record(world):
    world.registry.tags["ops/core", "candidate"] = world.manifests["core"]
    Sender(world, candidate_tags).publish()
    assert ("ops/core", TAG) not in world.registry.tags


def policy_of(teams, **more):
    named = {
        team: Team(team, {str(number): key.public_key for number, key in enumerate(keys)})
        for team, keys in teams.items()
    }
    return Policy(**{"version": 1, "expires": START, "digest": digest(b"x"), "teams": named, "tiers": {}, **more})


def test_only_keys_that_the_policy_names_sign_releases():
    alice, mia, lines = KeyInMemory(), KeyInMemory(), []
    rule, teams = ReleaseRule(("middleware",), 5), {"operations": [alice], "middleware": [mia]}
    policy = policy_of(teams, releases=rule)
    signing = choose_signing(policy, [alice, mia], lines.append)
    assert (signing.signer, signing.keys, signing.earlier) == (mia, (mia.public_key,), ())
    assert (signing.valid, lines) == (timedelta(days=5), [])
    assert choose_signing(policy, [alice], lines.append) is None
    assert "the policy lets team 'middleware' sign releases" in lines.pop()
    revoked = policy_of(teams, releases=rule, revoked={mia.public_key.id: Revocation("2026-11-30", "")})
    assert choose_signing(revoked, [mia], lines.append) is None
    assert len(lines) == 1


def test_a_revoked_key_of_a_colleague_is_an_earlier_key():
    alice, bob = KeyInMemory(), KeyInMemory()
    revoked = {bob.public_key.id: Revocation("2026-11-30", "")}
    policy = policy_of({"operations": [alice, bob]}, releases=ReleaseRule(("operations",), 5), revoked=revoked)
    signing = choose_signing(policy, [alice], pytest.fail)
    assert (signing.keys, signing.earlier) == ((alice.public_key,), (bob.public_key,))


@pytest.mark.parametrize("policy", [None, policy_of({})], ids=["no policy", "no rule"])
def test_without_a_rule_the_first_signer_signs_releases(policy):
    alice, mia = KeyInMemory(), KeyInMemory()
    assert choose_signing(policy, [alice, mia], pytest.fail).signer is alice
    assert choose_signing(policy, [], pytest.fail) is None
