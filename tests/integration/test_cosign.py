"""cosign 3 and this product verify each other's signatures, with a public key and without any service.

No engine is needed: images and attachments are written over HTTP. cosign gets a proxy that does not answer, so that it
fails if it needs the internet.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.image_identity import ImageIdentity
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.policy_check import PolicyCheck
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.registry_records import (
    RegistryPlace,
    RegistryRecords,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy import Policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.rules import TierRule
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import (
    BUNDLE,
    read_bundle,
    write_bundle,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import Signer, sign_statement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.private_key import KEY_TYPES, make_key_pair
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import (
    PublicKey,
    read_public_key,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.signers import open_signer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import (
    Statement,
    Subject,
    read_statement,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_client import RegistryClient
from engines.roots import UnavailableError
from fake_registry import fake_registry
from unpacked_package import unpack

pytestmark = pytest.mark.once

MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
SIGNATURE, PROVENANCE = "https://sigstore.dev/cosign/sign/v1", "https://slsa.dev/provenance/v1"
LAYER = b"a layer"
PREDICATE = {
    "buildDefinition": {
        "buildType": "https://tierwright.github.io/tier/v1",
        "externalParameters": {"chain": "shop", "tier": "corebuild"},
        "internalParameters": {"epoch": 1700000000},
        "resolvedDependencies": [{"name": "parent", "digest": {"sha256": "ab" * 32}}],
    },
    "runDetails": {
        "builder": {"id": "https://tierwright.github.io/builder/ci-1"},
        "metadata": {"invocationId": "1", "finishedOn": "2026-11-30T00:00:00Z"},
    },
}
PASSPHRASE = "secret"


@pytest.fixture(autouse=True)
def nothing_is_left() -> None:
    """In place of the fixture for all integration tests: these use no engine."""


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Cosign:
    """Runs cosign in a folder."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program, self.folder = program, folder
        away = "http://127.0.0.1:9"
        self.env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "COSIGN_PASSWORD": PASSPHRASE,
            **dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY"), away),
            "NO_PROXY": "localhost,127.0.0.1",
        }

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(self.program), *map(str, arguments)]
        return subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)

    def do(self, *arguments: object) -> str:
        process = self.run(*arguments)
        assert process.returncode == 0, process.stderr
        return process.stdout

    def verify(self, key: object, image: str) -> subprocess.CompletedProcess[str]:
        return self.run("verify", "--key", key, "--insecure-ignore-tlog", image)

    def verify_attestation(self, key: object, image: str) -> subprocess.CompletedProcess[str]:
        options = ("--key", key, "--insecure-ignore-tlog", "--type", "slsaprovenance1")
        return self.run("verify-attestation", *options, image)


@pytest.fixture(scope="session")
def cosign(tmp_path_factory: pytest.TempPathFactory) -> Cosign:
    try:
        program = unpack("forky", "cosign") / "usr/bin/cosign"
    except UnavailableError as error:
        pytest.skip(str(error))
    found = Cosign(program, tmp_path_factory.mktemp("cosign"))
    found.do("signing-config", "create", "--out", "nothing.json")  # with no service
    found.do("generate-key-pair")
    return found


@dataclass(frozen=True)
class Repository:
    """A repository in a registry, with one image."""

    host: str
    name: str
    #: The descriptor of the image's manifest, and the digest of its configuration.
    image: Mapping[str, Any]
    config: str

    @property
    def reference(self) -> str:
        return f"{self.host}/{self.name}@{self.image['digest']}"

    @property
    def tag(self) -> str:
        """The tag that lists attachments if the registry has no API for it."""
        return str(self.image["digest"]).replace(":", "-")

    def get(self, kind: str, name: str) -> bytes:
        accept = {"Accept": f"{MANIFEST}, {INDEX}"} if kind == "manifests" else {}
        answer = requests.get(f"http://{self.host}/v2/{self.name}/{kind}/{name}", headers=accept, timeout=30)
        answer.raise_for_status()
        return answer.content


def put_blob(host: str, name: str, content: bytes) -> dict[str, Any]:
    answer = requests.post(f"http://{host}/v2/{name}/blobs/uploads/", timeout=30)
    place = requests.compat.urljoin(answer.url, answer.headers["Location"])
    put = requests.put(
        f"{place}{'&' if '?' in place else '?'}digest={digest(content)}",
        data=content,
        headers={"Content-Type": "application/octet-stream"},
        timeout=30,
    )
    put.raise_for_status()
    return {"digest": digest(content), "size": len(content)}


def put_manifest(host: str, name: str, reference: str | None, document: Mapping[str, Any]) -> dict[str, Any]:
    content = json.dumps(document).encode()
    put = requests.put(
        f"http://{host}/v2/{name}/manifests/{reference or digest(content)}",
        data=content,
        headers={"Content-Type": document["mediaType"]},
        timeout=30,
    )
    put.raise_for_status()
    return {"mediaType": document["mediaType"], "digest": digest(content), "size": len(content)}


def make_image(host: str, name: str, layer: bytes = LAYER) -> Repository:
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}
    stored = put_blob(host, name, json.dumps({**config, "config": {}}).encode())
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **stored},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **put_blob(host, name, layer)}],
    }
    return Repository(host, name, put_manifest(host, name, "latest", manifest), stored["digest"])


def attach(repository: Repository, bundles: Sequence[tuple[str, bytes]], *, index: bool) -> None:
    """Attach bundles to the image as OCI 1.1 describes it, and list them under the tag if there is no API for it."""
    listed = []
    for kind, bundle in bundles:
        annotations = {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": kind,
            "org.opencontainers.image.created": "2026-11-30T00:00:00Z",
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE,
            "config": {"mediaType": EMPTY, **put_blob(repository.host, repository.name, b"{}")},
            "layers": [{"mediaType": BUNDLE, **put_blob(repository.host, repository.name, bundle)}],
            "subject": repository.image,
            "annotations": annotations,
        }
        stored = put_manifest(repository.host, repository.name, None, manifest)
        listed.append({**stored, "artifactType": BUNDLE, "annotations": annotations})
    if index:
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
        put_manifest(repository.host, repository.name, repository.tag, document)


def signed(repository: Repository, signer: Signer) -> list[tuple[str, bytes]]:
    """The bundles of one image: its signature and its provenance, with the subjects that a tier's image has."""
    image = str(repository.image["digest"])
    subjects = (Subject("corebuild", image), Subject("config", repository.config), Subject("layer", digest(LAYER)))
    statements = [Statement((Subject("", image),), SIGNATURE, {}), Statement(subjects, PROVENANCE, PREDICATE)]
    return [(each.predicate_type, write_bundle(sign_statement(each, signer), signer.public_key)) for each in statements]


@pytest.fixture(params=["tag", "api"])
def host(request: pytest.FixtureRequest) -> Iterator[tuple[str, bool]]:
    """A registry that lists attachments under a tag, or with the API, and whether it needs the tag."""
    if request.param == "tag":
        yield request.getfixturevalue("registry"), True
        return
    with fake_registry() as fake:
        fake.referrers = True
        yield fake.host, False


@pytest.fixture(scope="module", params=KEY_TYPES)
def signer(request: pytest.FixtureRequest, cosign: Cosign) -> Signer:
    """A key of each type; its public key is in the folder of cosign, as `<type>.pub`."""
    make_key_pair(request.param, cosign.folder / f"{request.param}.key", PASSPHRASE)
    return open_signer(f"{request.param}.key", PASSPHRASE, folder=cosign.folder)


def test_cosign_accepts_our_signature_and_provenance(cosign, host, signer):
    repository = make_image(host[0], f"ours/{signer.public_key.type}")
    public = f"{signer.public_key.type}.pub"
    for verified in (cosign.verify, cosign.verify_attestation):
        refused = verified(public, repository.reference)
        assert refused.returncode != 0, "nothing is signed yet"
    attach(repository, signed(repository, signer), index=host[1])
    answer = cosign.verify(public, repository.reference)
    assert answer.returncode == 0, answer.stderr
    assert {each["critical"]["image"]["docker-manifest-digest"] for each in json.loads(answer.stdout)} == {
        repository.image["digest"]
    }
    answer = cosign.verify_attestation(public, repository.reference)
    assert answer.returncode == 0, answer.stderr
    statement = json.loads(base64.b64decode(json.loads(answer.stdout)["payload"]))
    assert (statement["predicateType"], statement["predicate"]) == (PROVENANCE, PREDICATE)


def test_cosign_takes_any_statement_of_a_key_for_a_signature(cosign, registry, signer):
    """So a key must sign statements about released images only. docs/custody.md says this."""
    repository = make_image(registry, f"any/{signer.public_key.type}")
    attach(repository, signed(repository, signer)[1:], index=True)
    assert cosign.verify(f"{signer.public_key.type}.pub", repository.reference).returncode == 0


def tampered_payload(bundle: bytes) -> bytes:
    document = json.loads(bundle)
    payload = base64.b64decode(document["dsseEnvelope"]["payload"])
    # One byte of the predicate, or one blank: what it says about the image stays the same.
    changed = payload.replace(b"ci-1", b"ci-2") if b"ci-1" in payload else payload + b" "
    document["dsseEnvelope"]["payload"] = base64.b64encode(changed).decode()
    return json.dumps(document).encode()


def tampered_signature(bundle: bytes) -> bytes:
    document = json.loads(bundle)
    signature = bytearray(base64.b64decode(document["dsseEnvelope"]["signatures"][0]["sig"]))
    signature[-1] ^= 1
    document["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    return json.dumps(document).encode()


@pytest.mark.parametrize("tamper", [tampered_payload, tampered_signature])
def test_cosign_and_we_refuse_a_changed_byte(cosign, registry, signer, tamper):
    repository = make_image(registry, f"{tamper.__name__}/{signer.public_key.type}")
    bundles = [(kind, tamper(bundle)) for kind, bundle in signed(repository, signer)]
    attach(repository, bundles, index=True)
    for verified in (cosign.verify, cosign.verify_attestation):
        answer = verified(f"{signer.public_key.type}.pub", repository.reference)
        assert answer.returncode != 0, answer.stdout
        assert "signature" in answer.stderr
    assert all(read_bundle(bundle, "it").signers([signer.public_key]) == [] for _kind, bundle in bundles)


def test_cosign_refuses_our_signature_for_another_image_or_by_another_key(cosign, registry, signer):
    ours = make_image(registry, f"right/{signer.public_key.type}")
    other = make_image(registry, f"wrong/{signer.public_key.type}", b"an evil layer")
    attach(ours, signed(ours, signer), index=True)
    attach(other, signed(ours, signer), index=True)
    public = f"{signer.public_key.type}.pub"
    assert cosign.verify(public, ours.reference).returncode == 0
    for verified in (cosign.verify, cosign.verify_attestation):
        assert verified(public, other.reference).returncode != 0
        assert verified("cosign.pub", ours.reference).returncode != 0


@pytest.fixture(scope="module")
def theirs(cosign: Cosign, registry: str) -> tuple[Repository, PublicKey]:
    """An image that cosign signed, and attested."""
    repository = make_image(registry, "theirs")
    (cosign.folder / "predicate.json").write_text(json.dumps(PREDICATE))
    options = ("--key", "cosign.key", "--signing-config", "nothing.json", "--yes")
    cosign.do("sign", *options, repository.reference)
    attestation = ("--type", "slsaprovenance1", "--predicate", "predicate.json")
    cosign.do("attest", *options, *attestation, repository.reference)
    return repository, read_public_key((cosign.folder / "cosign.pub").read_text(), "cosign.pub")


def test_we_accept_what_cosign_signed(theirs, signer):
    repository, key = theirs
    found = {}
    for listed in json.loads(repository.get("manifests", repository.tag))["manifests"]:
        manifest = json.loads(repository.get("manifests", listed["digest"]))
        assert (manifest["artifactType"], manifest["config"]["mediaType"]) == (BUNDLE, EMPTY)
        bundle = repository.get("blobs", manifest["layers"][0]["digest"])
        envelope = read_bundle(bundle, "bundle")
        assert envelope.signers([signer.public_key, key]) == [key]
        assert read_bundle(tampered_payload(bundle), "bundle").signers([key]) == []
        assert read_bundle(tampered_signature(bundle), "bundle").signers([key]) == []
        statement = read_statement(envelope.payload, "statement")
        assert statement.digests() == {repository.image["digest"]}
        found[statement.predicate_type] = statement.predicate
        # What we write has the same form, and the same hint.
        ours = json.loads(write_bundle(envelope, key))
        assert ours == json.loads(bundle)
    assert found == {SIGNATURE: {}, PROVENANCE: PREDICATE}


def test_a_policy_accepts_a_base_that_others_signed_with_cosign(theirs, signer):
    repository, key = theirs
    place = RegistryPlace(RegistryClient(repository.host), repository.name, repository.image["digest"])
    image = ImageIdentity(
        repository.config, repository.image["digest"], (digest(LAYER),), {labels.TIER: "base"}, "the base"
    )
    for trusted, is_accepted in ((key, True), (signer.public_key, False)):
        rule = TierRule(signed_by={"vendor": trusted})
        policy = Policy(1, datetime(2036, 1, 1, tzinfo=UTC), digest(b"policy"), {}, {"base": rule})
        check = PolicyCheck(policy, datetime.now(UTC)).pulled("base")
        assert check is not None
        if is_accepted:
            check(image, [RegistryRecords([place])], "tier 'base' is not made")
        else:
            with pytest.raises(TrustError, match="tier 'base' is not made: the policy refuses the base: "):
                check(image, [RegistryRecords([place])], "tier 'base' is not made")


def test_a_private_key_of_cosign_is_refused_with_a_sentence(cosign):
    with pytest.raises(TrustError, match=r"cosign.key is a key in a format of cosign; expected a private key in PEM"):
        open_signer("cosign.key", PASSPHRASE, folder=cosign.folder)


def test_cosign_imports_a_key_that_openssl_decrypted(cosign):
    """As docs/custody.md shows: a team can sign with cosign, too, and the policy needs no second key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    public = make_key_pair("p256", cosign.folder / "shared.key", PASSPHRASE)
    command = ["openssl", "pkey", "-in", "shared.key", "-passin", "stdin", "-out", "decrypted.pem"]
    subprocess.run(command, cwd=cosign.folder, input=PASSPHRASE.encode(), check=True)
    cosign.do("import-key-pair", "--key", "decrypted.pem", "--output-key-prefix", "imported")
    assert read_public_key((cosign.folder / "imported.pub").read_text(), "key") == public
