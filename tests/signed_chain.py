"""A chain of five tiers with signed records, made in memory: what tests of custody verify, and tamper with."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.image_identity import ImageIdentity
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.manifest import (
    CONFIG,
    LAYER,
    descriptor,
    image_manifest,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.evidence import (
    BUILD_TYPE,
    CYCLONEDX,
    GATE,
    PROVENANCE,
    SIGNATURE,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy_signature import sign_policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import write_bundle
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import sign_statement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import PublicKey, describe_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import Statement, Subject
from made_images import config, digest, layer, layout, tier_step, write

CHAIN = "shop"
#: Tier to its team; each tier is the parent of the next one.
TIERS = {
    "base": "operations",
    "corebuild": "operations",
    "httpd-php": "middleware",
    "wordpress": "development",
    "shop": "development",
}
#: Person to team.
PEOPLE = {"alice": "operations", "bob": "operations", "mia": "middleware", "dan": "development", "dora": "development"}
SIGNERS = {"operations": "alice", "middleware": "mia", "development": "dan"}
KINDS = (PROVENANCE, GATE, CYCLONEDX, SIGNATURE)


class KeyInMemory:
    """Signs with a key that only this test has."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.generate()
        self.public_key: PublicKey = describe_key(self._private.public_key(), "a key of tests")

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


@dataclass
class SignedImage:
    """The image of a tier with its statements and bundles."""

    tier: str
    document: bytes
    layers: list[bytes]
    parent: SignedImage | None
    #: Statements by the type of their predicate.
    statements: dict[str, Statement] = field(default_factory=dict)
    bundles: list[bytes] = field(default_factory=list)

    @property
    def manifest(self) -> bytes:
        parts = [descriptor(LAYER, digest(each), len(each)) for each in self.layers]
        return image_manifest(descriptor(CONFIG, digest(self.document), len(self.document)), parts)

    @property
    def identity(self) -> ImageIdentity:
        info = json.loads(self.document)
        found = tuple(info["rootfs"]["diff_ids"])
        return ImageIdentity(
            digest(self.document), digest(self.manifest), found, info["config"].get("Labels") or {}, self.tier
        )

    def subjects(self) -> tuple[Subject, ...]:
        own = [Subject("layer", digest(self.layers[-1]))]
        return (Subject(self.tier, digest(self.manifest)), Subject("config", digest(self.document)), *own)

    def bundles_of(self, kind: str) -> list[bytes]:
        """The bundles whose statement has this type."""
        return [each for each in self.bundles if predicate_type(each) == kind]


def predicate_type(bundle: bytes) -> Any:
    return json.loads(base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"]))["predicateType"]


class SignedChain:
    """Five images, keys of three teams, and a policy that allows them."""

    def __init__(self, files: Mapping[str, Sequence[tuple[str, Any]]] = {}) -> None:
        """Make them; `files` are additional entries of layers, by tier."""
        self._files = files
        self.keys = {person: KeyInMemory() for person in PEOPLE}
        self.images: dict[str, SignedImage] = {}
        parent: SignedImage | None = None
        for number, (tier, team) in enumerate(TIERS.items()):
            parent = self.images[tier] = self._make(tier, team, number, parent)
            self.sign(tier, SIGNERS[team])

    def __getitem__(self, tier: str) -> SignedImage:
        return self.images[tier]

    def bundles(self, image: ImageIdentity) -> Iterator[tuple[str, bytes]]:
        """The records of an image, as a place of records yields them."""
        for each in self.images.values():
            if each.identity.config == image.config:
                yield from ((f"record {number} of {each.tier}", bundle) for number, bundle in enumerate(each.bundles))

    def sign(self, tier: str, person: str, kinds: tuple[str, ...] = KINDS) -> None:
        """Let a person sign statements of a tier."""
        image = self.images[tier]
        for kind in kinds:
            image.bundles.append(self.bundle(image.statements[kind], person))

    def bundle(self, statement: Statement, person: str) -> bytes:
        key = self.keys[person]
        return write_bundle(sign_statement(statement, key), key.public_key)

    def resign(self, tier: str, kind: str, person: str | None = None, **changes: Any) -> None:
        """Replace a statement of a tier by a changed one, which its team, or this person, signs."""
        image = self.images[tier]
        image.bundles = [each for each in image.bundles if predicate_type(each) != kind]
        changed = replace(image.statements[kind], **changes)
        image.bundles.append(self.bundle(changed, person or SIGNERS[TIERS[tier]]))

    def policy(self, tiers: Mapping[str, Any] = {}, **more: Any) -> dict[str, Any]:
        """The policy, for YAML, with changes of tiers and of other keys."""
        teams: dict[str, Any] = {}
        for person, team in PEOPLE.items():
            teams.setdefault(team, {"keys": {}})["keys"][person] = self.keys[person].public_key.pem
        rules = {tier: {"team": team, **tiers.get(tier, {})} for tier, team in TIERS.items()}
        return {"version": 1, "expires": "2036-01-01", "teams": teams, "tiers": rules, **more}

    def write(self, folder: Path) -> str:
        """Write all images to a layout, keep their records in the state folder, and return the name of the layout."""
        images: dict[str, tuple[bytes, Sequence[bytes]]] = {
            tier: (image.document, image.layers) for tier, image in self.images.items()
        }
        store = LocalRecords()
        for image in self.images.values():
            for bundle in image.bundles:
                store.add(image.identity.config, bundle)
        return f"oci:{write(folder, layout(images))}"

    def write_policy(self, folder: Path, tiers: Mapping[str, Any] = {}, **more: Any) -> tuple[Path, Path]:
        """Write a signed policy, and the public key of its owner."""
        path, key, owner = folder / "chain-policy.yml", folder / "owner.pub", KeyInMemory()
        path.write_text(yaml.safe_dump(self.policy(tiers, **more)))
        key.write_text(owner.public_key.pem)
        sign_policy(path, owner)
        return path, key

    def _make(self, tier: str, team: str, number: int, parent: SignedImage | None) -> SignedImage:
        own = layer((f"etc/{tier}", str(number).encode()), *self._files.get(tier, ()))
        layers = [*(parent.layers if parent else []), own]
        steps = [tier_step(each, TIERS[each]) for each in list(TIERS)[: number + 1]]
        names = {
            labels.CHAIN: CHAIN,
            labels.TIER: tier,
            labels.TEAM: team,
            labels.ROLE: tier,
            labels.KEY: f"{number:064x}",
            **({labels.PARENT: digest(parent.document)} if parent else {}),
        }
        image = SignedImage(tier, config(layers, steps, Labels=names), layers, parent)
        for kind, predicate in (
            (PROVENANCE, _provenance(image, team)),
            (GATE, _gate(tier)),
            (CYCLONEDX, {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": "openssl"}]}),
        ):
            image.statements[kind] = Statement(image.subjects(), kind, predicate)
        image.statements[SIGNATURE] = Statement((Subject("", digest(image.manifest)),), SIGNATURE, {})
        return image


def _provenance(image: SignedImage, team: str) -> dict[str, Any]:
    repository, commit = f"https://git.example.org/{team}/roles.git", f"{len(image.layers):040x}"
    dependencies: list[dict[str, Any]] = []
    if image.parent:
        parent = digest(image.parent.document).removeprefix("sha256:")
        dependencies.append(
            {
                "name": "parent",
                "uri": f"tier:{image.parent.tier}",
                "digest": {"sha256": parent},
                "annotations": {"manifest": digest(image.parent.manifest)},
            }
        )
    dependencies += [
        {"name": "source", "uri": f"git+{repository}@refs/heads/main", "digest": {"gitCommit": commit}},
        {"name": "input", "uri": "https://deb.debian.org/debian", "digest": {"sha256": "ab" * 32}},
    ]
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "chain": CHAIN,
                "tier": image.tier,
                "team": team,
                "role": image.tier,
                "source": {"repository": repository, "branch": "main", "commit": commit, "clean": True},
            },
            "internalParameters": {"key": "0" * 64, "parts": {}, "cage": {}, "epoch": 1_790_000_000},
            "resolvedDependencies": dependencies,
        },
        "runDetails": {
            "builder": {"id": "https://tierwright.github.io/builder/ci-1"},
            "metadata": {
                "invocationId": "run-1",
                "startedOn": "2026-11-30T01:00:00Z",
                "finishedOn": "2026-11-30T01:01:00Z",
            },
            "byproducts": [{"name": "who", "annotations": {"user": SIGNERS[team], "machine": "ci-1"}}],
        },
    }


def _gate(tier: str) -> dict[str, Any]:
    above = list(TIERS)[: list(TIERS).index(tier) + 1]
    configuration = [
        {
            "name": f"tests of {each}",
            "digest": {"sha256": "cd" * 32},
            "annotations": {"tier": each, "team": TIERS[each], "kind": "own" if each == tier else "contract"},
        }
        for each in above
    ]
    tests = [f"roles/{each}/tests/test_{each}.py::test_it" for each in above]
    return {
        "result": "PASSED",
        "configuration": configuration,
        "passedTests": tests,
        "warnedTests": [],
        "failedTests": [],
        "https://tierwright.github.io/tested-on": "2026-11-30T01:02:00Z",
    }
