"""A build with a key leaves signed records of exactly its image, and the key and its passphrase nowhere else."""

from __future__ import annotations

import base64
import secrets
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.predicates import (
    GATE,
    PROVENANCE,
    SIGNATURE,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.evidence import CYCLONEDX, SPDX
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.upload import upload
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import read_bundle
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import describe_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import Subject, read_statement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from sdk_client import as_engine

from .conftest import WRITE
from .process_watch import ProcessWatch
from .test_secrets import files_below, image_bytes, leaks

pytestmark = pytest.mark.once

#: The types of all statements about an image with tests.
ALL = (PROVENANCE, GATE, CYCLONEDX, SPDX, SIGNATURE)

TESTS = """
    import pytest

    def test_file(host): assert host.file("/etc/one").exists
    def test_later(host): pytest.skip("not yet")
"""


@pytest.fixture
def passphrase():
    return f"TWCANARY-{secrets.token_hex(8)}"


@pytest.fixture
def key(small_chain, passphrase):
    """The key of the team. Its passphrase is in the team's variables."""
    private = Ed25519PrivateKey.generate()
    encryption = BestAvailableEncryption(passphrase.encode())
    path = small_chain.folder / "operations.key"
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    path.chmod(0o600)
    write_variables(small_chain, passphrase)
    return private


def write_variables(chain, passphrase):
    variables = chain.folder / "group_vars/operations.yml"
    variables.parent.mkdir(exist_ok=True)
    variables.write_text(
        f"tier_signing_key: operations.key\ntier_signing_passphrase: {passphrase}\ntier_builder: ci-1\n"
    )


@pytest.fixture
def canaries(key, passphrase):
    """The forms in which the passphrase and the private key could appear."""
    raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().splitlines()[1]
    return {"passphrase": passphrase, "pem": pem, "base64": base64.b64encode(raw).decode(), "hex": raw.hex()}


@pytest.fixture
def records(environment, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", environment["XDG_STATE_HOME"])
    return LocalRecords(pytest.fail)


def commit(folder):
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=folder, check=True)
    subprocess.run(["git", "remote", "add", "origin", "https://u:p@git.example.org/ops.git"], cwd=folder, check=True)
    subprocess.run(["git", "add", "roles"], cwd=folder, check=True)
    subprocess.run(["git", *identity, "commit", "-q", "-m", "x"], cwd=folder, check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True).stdout


def signed(records, image, key):
    """The statements about an image that the key signed, by their type."""
    found = {}
    for title, content in records.of_config(image):
        envelope = read_bundle(content, title)
        assert envelope.signers([describe_key(key.public_key(), "key")])
        statement = read_statement(envelope.payload, title)
        found.setdefault(statement.predicate_type, []).append(statement)
    return found


def test_a_build_with_a_key_writes_records_of_its_image(small_chain, engine, records, key, registry):
    small_chain.tier("one", WRITE, parent="base").tests("one", TESTS)
    revision = commit(small_chain.folder).strip()
    small_chain.build().expect()
    image = as_engine(engine).images.get(small_chain.image("one").id)
    statements = signed(records, image.id, key)
    assert {kind: len(found) for kind, found in statements.items()} == dict.fromkeys(ALL, 1)
    [provenance], [gate], [signature] = statements[PROVENANCE], statements[GATE], statements[SIGNATURE]

    published = upload(as_engine(engine), image, RegistryWriter(registry), "one", sources=[], say=print)
    expected = (Subject("one", published.manifest), Subject("config", image.id), Subject("layer", image.layers[-1]))
    assert provenance.subjects == gate.subjects == expected
    assert signature.subjects == (Subject("", published.manifest),)

    given = provenance.predicate["buildDefinition"]["externalParameters"]
    assert given["source"] == {
        "repository": "https://git.example.org/ops.git",
        "branch": "main",
        "commit": revision,
        "clean": True,
    }
    assert provenance.predicate["runDetails"]["builder"]["id"].endswith("/builder/ci-1")
    assert gate.predicate["passedTests"] == ["roles/one/tests/test_it.py::test_file"]
    assert gate.predicate["warnedTests"] == ["roles/one/tests/test_it.py::test_later"]


def test_a_second_run_signs_only_what_is_new(small_chain, records, key):
    small_chain.tier("one", WRITE, parent="base")
    assert "one: signed 4 statements" in small_chain.build().expect().output
    before = sorted(title for title, _content in records.of_config(small_chain.image("one").id))
    small_chain.tier("two", WRITE, parent="one")
    output = small_chain.build().expect().output
    assert "two: signed 4 statements" in output
    assert "one: signed" not in output
    assert sorted(title for title, _content in records.of_config(small_chain.image("one").id)) == before
    assert len(signed(records, small_chain.image("two").id, key)) == 4


def test_a_key_that_cannot_be_opened_is_known_before_the_build(small_chain, records, key, passphrase):
    small_chain.tier("one", WRITE, parent="base")
    write_variables(small_chain, "wrong")
    output = small_chain.build().expect(2).message
    assert "operations.key cannot be decrypted: the passphrase is wrong" in output
    assert "Apply the role" not in output
    assert not small_chain.released("one")
    write_variables(small_chain, passphrase)
    small_chain.build().expect()
    assert small_chain.released("one")
    assert len(signed(records, small_chain.image("one").id, key)) == 4


def test_without_a_key_nothing_is_signed(small_chain, records):
    small_chain.tier("one", WRITE, parent="base")
    assert "signed" not in small_chain.build().expect().output
    assert list(records.of_config(small_chain.image("one").id)) == []


def test_the_key_and_its_passphrase_are_nowhere_else(small_chain, engine, environment, canaries, records, tmp_path):
    small_chain.tier("one", WRITE, parent="base").tests("one", TESTS)
    with ProcessWatch(engine) as watch:
        output = small_chain.build("-vvv").expect().output
    assert "one: signed 5 statements" in output
    assert leaks(output, canaries) == []
    assert any(b"ansible-playbook" in each for each in watch.seen)
    assert leaks(b"\0".join(watch.seen), canaries) == []
    for variable in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        assert leaks(files_below(Path(environment[variable])), canaries) == []
    assert leaks(files_below(Path("/tmp"), "tierwright*"), canaries) == []
    assert leaks(image_bytes(engine, small_chain.image("one").id, tmp_path), canaries) == []
    assert list(records.of_config(small_chain.image("one").id))
