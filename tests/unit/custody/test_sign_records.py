"""Images are signed with what is known about them: once by each key, and never without facts about their build."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.build_facts import (
    ParentImage,
    note_facts,
    noted_facts,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.gate_facts import note_gate
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.image_identity import identify
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.manifest_digest import manifest_digest
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.predicates import (
    GATE as GATE_TYPE,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.predicates import (
    PROVENANCE,
    SIGNATURE,
    TierImage,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.sign_records import sign_images
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError, TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import configuration, labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import FileEntry, FileKind
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.tar_writer import Layer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing import loading
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import read_bundle
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import (
    Statement,
    Subject,
    read_statement,
)
from fake_engine import FakeEngine
from made_records import FACTS, GATE, KeyInMemory

pytestmark = pytest.mark.once

NOTHING = loading.Layers(())


class World:
    """An engine with the images of two tiers, and the facts about them."""

    def __init__(self):
        self.engine, self.records = FakeEngine(), LocalRecords(pytest.fail)
        self.core = self.make("corebuild", "operations", None, NOTHING)
        self.php = self.make(
            "httpd-php", "middleware", self.core.id, loading.Layers(self.core.layers, donor=self.core.id)
        )
        self.images = {"corebuild": self.core.id, "httpd-php": self.php.id}
        self.key = KeyInMemory()
        note_facts(self.records, self.core.id, self.facts(self.core, parent=None))
        parent = ParentImage("corebuild", self.core.id, None)
        note_facts(self.records, self.php.id, self.facts(self.php, parent=parent))
        note_gate(self.records, self.php.id, GATE)

    def make(self, tier, team, parent, below):
        found = {labels.TIER: tier, labels.TEAM: team, labels.CHAIN: "shop", labels.PARENT: parent}
        config = {"Labels": {name: value for name, value in found.items() if value}}

        def describe(digest, _content):
            settings = {"architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z", "author": team}
            return configuration.document(config=config, layers=[*below.digests, digest], history=[], **settings)

        content = tier.encode()
        layer = Layer([FileEntry(b"file", FileKind.FILE, 0o644, 0, 0, 5, len(content), content=content)], 9)
        return loading.load_new(self.engine, layer, below, describe)

    def facts(self, image, **changes):
        found = image.labels
        own = {"tier": found[labels.TIER], "team": found[labels.TEAM], "layer": image.layers[-1]}
        return msgspec.structs.replace(FACTS, **{**own, **changes})

    def sign(self, key=None, **options):
        signer = key or self.key
        return sign_images(self.engine, self.images, lambda _tier: signer, records=self.records, **options)

    def statements(self, image, key=None):
        """The statements that a key signed, by their type."""
        found = {}
        for title, content in self.records.bundles(identify(image, "x")):
            envelope = read_bundle(content, title)
            if envelope.signers([(key or self.key).public_key]):
                statement = read_statement(envelope.payload, title)
                assert statement.predicate_type not in found
                found[statement.predicate_type] = statement
        return found


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return World()


def test_provenance_tests_and_the_image_itself_are_signed(world):
    assert world.sign().signatures == {"corebuild": 2, "httpd-php": 3}
    statements = world.statements(world.php)
    assert set(statements) == {PROVENANCE, GATE_TYPE, SIGNATURE}
    manifest = manifest_digest(world.engine, world.php)
    subjects = (Subject("httpd-php", manifest), Subject("config", world.php.id), Subject("layer", world.php.layers[-1]))
    assert statements[PROVENANCE].subjects == statements[GATE_TYPE].subjects == subjects
    assert statements[SIGNATURE] == Statement((Subject("", manifest),), SIGNATURE, {})
    parent = statements[PROVENANCE].predicate["buildDefinition"]["resolvedDependencies"][0]
    assert parent["digest"] == {"sha256": world.core.id.removeprefix("sha256:")}
    assert parent["annotations"] == {"manifest": manifest_digest(world.engine, world.core)}


def test_what_a_key_signed_is_not_signed_again(world):
    world.sign()
    signed = world.key.signed
    assert world.sign().signatures == {"corebuild": 0, "httpd-php": 0}
    assert world.key.signed == signed


def test_a_signature_of_a_different_key_does_not_count(world):
    world.sign()
    other = KeyInMemory()
    assert world.sign(other).signatures == {"corebuild": 2, "httpd-php": 3}
    assert world.statements(world.php, other) == world.statements(world.php)


def test_new_facts_are_signed_and_the_rest_is_not(world):
    world.sign()
    note_gate(world.records, world.php.id, msgspec.structs.replace(GATE, tested="2026-12-01T00:00:00Z"))
    assert world.sign().signatures == {"corebuild": 0, "httpd-php": 1}


def test_tiers_without_a_key_are_not_signed(world):
    def read_signer(tier):
        return world.key if tier == "corebuild" else None

    signed = sign_images(world.engine, world.images, read_signer, records=world.records)
    assert (signed.signatures, signed.unsigned) == ({"corebuild": 2}, {})
    assert world.statements(world.php) == {}


def test_an_image_without_facts_is_not_signed_and_a_sentence_says_so(world):
    world.images["httpd-php"] = world.make("httpd-php", "middleware", world.core.id, NOTHING).id
    signed = world.sign()
    assert signed.signatures == {"corebuild": 2}
    assert signed.unsigned == {
        "httpd-php": (
            "tier 'httpd-php' is not signed: nothing was recorded here about the build of its image "
            f"{world.images['httpd-php']}; build it again with -e tier_force=httpd-php"
        )
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"tier": "corebuild"},
        {"chain": "other"},
        {"team": "operations"},
        {"layer": f"sha256:{'0' * 64}"},
        {"parent": None},
        {"parent": ParentImage("corebuild", f"sha256:{'0' * 64}", None)},
    ],
    ids=str,
)
def test_facts_of_a_different_image_are_not_signed(world, changes):
    facts = noted_facts(world.records, world.php.id)
    note_facts(world.records, world.php.id, msgspec.structs.replace(facts, **changes))
    assert set(world.sign().unsigned) == {"httpd-php"}
    assert world.statements(world.php) == {}


def test_tests_of_a_different_tier_are_not_signed(world):
    note_gate(world.records, world.php.id, msgspec.structs.replace(GATE, tier="corebuild"))
    world.sign()
    assert set(world.statements(world.php)) == {PROVENANCE, SIGNATURE}


def test_the_provenance_stays_the_same_if_the_parent_is_removed(world):
    world.sign()
    before = world.statements(world.php)
    del world.engine.world.images[world.core.id]
    del world.images["corebuild"]
    assert world.sign().signatures == {"httpd-php": 0}
    assert world.statements(world.php) == before


def test_further_statements_are_made_once_for_each_key(world):
    made = []

    def make(image, found):
        made.append((image, found.id))
        return Statement(image.subjects(), "https://spdx.dev/Document", {}) if image.tier == "corebuild" else None

    assert world.sign(more_statements={"https://spdx.dev/Document": make}).signatures == {
        "corebuild": 3,
        "httpd-php": 3,
    }
    manifest = manifest_digest(world.engine, world.core)
    assert made[0] == (TierImage("corebuild", manifest, world.core.id, (world.core.layers[-1],)), world.core.id)
    world.sign(more_statements={"https://spdx.dev/Document": make})
    assert [image.tier for image, _found in made] == ["corebuild", "httpd-php", "httpd-php"]


def test_damaged_records_are_signed_again(world, tmp_path):
    world.sign()
    world.records = LocalRecords()
    folder = tmp_path / "tierwright/+records" / world.core.id.removeprefix("sha256:")
    for path in folder.glob("[0-9a-f]*.json"):
        if len(path.stem) == len(hashlib.sha256().hexdigest()):
            path.write_bytes(b"damaged")
    assert world.sign().signatures == {"corebuild": 2, "httpd-php": 0}


def test_a_key_that_cannot_sign_ends_the_promotion(world):
    def refuse(_message):
        raise TrustError("the token is locked")

    world.key.sign = refuse
    with pytest.raises(TrustError, match="the token is locked"):
        world.sign()


def test_records_that_cannot_be_stored_are_an_error(world, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalRecords, "add", full)
    with pytest.raises(RunError, match="cannot be stored: No space left on device; XDG_STATE_HOME selects"):
        world.sign()
