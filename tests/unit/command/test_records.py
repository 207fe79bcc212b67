"""`tierwright sign` and `tierwright records`: a second person signs the same bytes, on a different machine."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.source_version import Commit
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.build_facts import note_facts
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.predicates import TierImage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.statements import (
    gate_statement,
    provenance_statement,
    signature_statement,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.stored_statements import stored_statements
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import engine as engine_module
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineUnavailableError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import write_bundle
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import sign_statement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import describe_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import Statement, Subject
from made_records import CONFIG, FACTS, GATE, IMAGE, MANIFEST, KeyInMemory

pytestmark = pytest.mark.once

DOCS = Path(__file__).parents[3] / "docs"
PASSPHRASE = "canary-of-a-passphrase"
PROVENANCE, TESTS, SIGNATURE = (
    provenance_statement(IMAGE, FACTS),
    gate_statement(IMAGE, GATE),
    signature_statement(MANIFEST),
)
#: Statements of the first person.
STATEMENTS = (PROVENANCE, TESTS, SIGNATURE)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A function that changes to a machine of a person: `machine("alice")`."""

    def change(name):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name))
        monkeypatch.chdir(tmp_path)
        return LocalRecords(pytest.fail)

    change("alice")
    monkeypatch.setattr(engine_module, "connect", lambda: (_ for _ in ()).throw(EngineUnavailableError("no engine")))
    return change


@pytest.fixture
def first(machine):
    """The key of the first person, who signed everything."""
    key = KeyInMemory()
    add(machine("alice"), key, *STATEMENTS)
    return key


@pytest.fixture
def bob(tmp_path):
    """The public key of a second person. `bob.key` is the encrypted private key."""
    private = Ed25519PrivateKey.generate()
    encryption = BestAvailableEncryption(PASSPHRASE.encode())
    (tmp_path / "bob.key").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    (tmp_path / "bob.key").chmod(0o600)
    (tmp_path / "pass").write_text(f"{PASSPHRASE}\n")
    return describe_key(private.public_key(), "bob")


def add(records, key, *statements, config=CONFIG):
    for statement in statements:
        records.add(config, write_bundle(sign_statement(statement, key), key.public_key))


def run(*arguments, code=0):
    result = CliRunner().invoke(tierwright, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert PASSPHRASE not in result.output
    assert result.exit_code == code, result.output
    return result.output


def sign(*arguments, code=0):
    return run("sign", *arguments, "--key", "bob.key", "--passphrase-file", "pass", code=code)


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize("name", ["httpd-php", CONFIG, CONFIG.removeprefix("sha256:")[:12]])
def test_a_second_person_signs_the_same_bytes(machine, bob, name):
    output = sign(name, "--yes")
    for text in (
        "tier     httpd-php of team middleware, chain shop",
        f"image    {CONFIG} (configuration)",
        f"         {MANIFEST} (manifest)",
        "branch main, 0123456789abcdef0123456789abcdef01234567, no uncommitted changes",
        "built    2026-11-30T01:02:33Z by alice on ci-1.example.org, run 20261130T010203Z-0123abcd",
        "tests    PASSED: 2 passed, 1 skipped, 0 failed, 2026-11-30T01:03:00Z",
        "skipped roles/httpd_php/tests/test_site.py::test_ipv6",
        f"signed 3 statements about {CONFIG} with the key {bob}",
    ):
        assert text in output
    found = stored_statements(machine("alice"), CONFIG)
    assert len(found) == 3
    assert all(len(each.keys) == 2 and bob.id in each.keys for each in found)
    assert len(LocalRecords().signed_payloads(CONFIG, bob)) == 3
    assert "has signed all of this before" in sign(name, "--yes")
    assert len(list(LocalRecords().of_config(CONFIG))) == 6


@pytest.mark.usefixtures("first", "bob")
def test_nothing_is_signed_without_consent():
    assert "there is no terminal; use --yes" in sign("httpd-php", code=2)
    assert len(list(LocalRecords().of_config(CONFIG))) == 3


@pytest.mark.usefixtures("bob")
def test_uncommitted_changes_and_failed_tests_are_shown(machine):
    facts = msgspec.structs.replace(FACTS, commit=Commit("0" * 40, 0, clean=False))
    failed = msgspec.structs.replace(GATE, failed=("roles/web/tests/test_it.py::test_\x1b[31m",))
    add(machine("alice"), KeyInMemory(), provenance_statement(IMAGE, facts), gate_statement(IMAGE, failed))
    output = sign("httpd-php", "--yes")
    assert "WITH UNCOMMITTED CHANGES" in output
    assert "tests    FAILED: 2 passed, 1 skipped, 1 failed" in output
    assert "FAILED roles/web/tests/test_it.py::test_\\x1b[31m" in output


@pytest.mark.usefixtures("bob")
def test_an_image_without_records_cannot_be_signed(machine):
    output = sign(CONFIG, code=3)
    assert f"there is no provenance of image {CONFIG} on this machine; import it" in output
    note_facts(machine("alice"), CONFIG, FACTS)  # its engine does not answer
    assert "there is no provenance" in sign("httpd-php", code=3)


@pytest.mark.usefixtures("bob")
@pytest.mark.parametrize(
    "subjects",
    [
        (Subject("httpd-php", MANIFEST),),
        (*IMAGE.subjects(), Subject("other", f"sha256:{'0' * 64}")),
        (Subject("corebuild", MANIFEST), *IMAGE.subjects()[1:]),
        (IMAGE.subjects()[0], Subject("config", f"sha256:{'0' * 64}")),
    ],
)
def test_a_provenance_that_is_about_something_else_is_not_signed(machine, subjects):
    statement = Statement(subjects, PROVENANCE.predicate_type, PROVENANCE.predicate)
    add(machine("alice"), KeyInMemory(), statement)
    assert "expected httpd-php, config and layer of this image" in sign(CONFIG, "--yes", code=8)
    assert len(list(LocalRecords().of_config(CONFIG))) == 1


@pytest.mark.usefixtures("bob")
def test_only_the_newest_statements_about_this_image_are_signed(machine):
    older = msgspec.structs.replace(FACTS, finished="2026-11-29T01:00:00Z")
    other = TierImage(IMAGE.tier, f"sha256:{'0' * 64}", CONFIG, IMAGE.layers)
    late = msgspec.structs.replace(GATE, tested="2026-12-01T01:00:00Z")
    add(machine("alice"), KeyInMemory(), provenance_statement(IMAGE, older), *STATEMENTS, gate_statement(other, late))
    sign("httpd-php", "--yes")
    signed = [each.statement for each in stored_statements(LocalRecords(), CONFIG) if len(each.keys) == 2]
    assert sorted(signed, key=lambda each: each.predicate_type) == sorted(
        STATEMENTS, key=lambda each: each.predicate_type
    )


def test_a_tier_means_its_newest_image(machine):
    records = machine("alice")
    newest, oldest = f"sha256:{'e' * 64}", f"sha256:{'1' * 64}"
    for config, day in ((oldest, 1), (newest, 3), (CONFIG, 2)):
        finished = f"2026-12-0{day}T00:00:00Z"
        facts = msgspec.structs.replace(FACTS, finished=finished)
        if config == CONFIG:
            note_facts(records, config, facts)
        else:
            image = TierImage(IMAGE.tier, MANIFEST, config, ())
            add(records, KeyInMemory(), provenance_statement(image, facts), config=config)
    [image] = json.loads(run("records", "list", "httpd-php", "--json"))["images"]
    assert image["image"] == newest


def test_a_tier_in_two_chains_is_ambiguous(machine):
    records = machine("alice")
    for chain, config in (("shop", CONFIG), ("blog", f"sha256:{'1' * 64}")):
        note_facts(records, config, msgspec.structs.replace(FACTS, chain=chain))
    output = run("records", "list", "httpd-php", code=2)
    assert f"is in several chains; name one of these images instead: blog: sha256:{'1' * 64}, shop: {CONFIG}" in output


def test_records_are_listed(machine, first):
    note_facts(machine("alice"), CONFIG, FACTS)
    output = run("records", "list")
    assert output.splitlines()[0].split() == ["TIER", "IMAGE", "STATEMENT", "TIME", "KEYS"]
    assert len(output.splitlines()) == 4
    assert str(first.public_key) in output
    answer = json.loads(run("records", "list", "--json"))
    jsonschema.validate(answer, json.loads((DOCS / "schemas/records-list.json").read_text()))
    [image] = answer["images"]
    assert (image["tier"], image["chain"], image["image"], image["built_here"]) == ("httpd-php", "shop", CONFIG, True)
    assert {each["type"]: each["time"] for each in image["statements"]} == {
        PROVENANCE.predicate_type: "2026-11-30T01:02:33Z",
        TESTS.predicate_type: "2026-11-30T01:03:00Z",
        SIGNATURE.predicate_type: None,
    }
    assert all(each["keys"] == [first.public_key.id] for each in image["statements"])


@pytest.mark.usefixtures("machine")
def test_a_machine_without_records_says_so():
    assert run("records", "list") == "there are no records on this machine; a build makes them\n"


@pytest.mark.parametrize("text", ["\x1b[31m", "9999-99-99T99:99:99Z", 7, None, "2026-11-30"])
def test_texts_of_hostile_statements_are_shown_harmlessly(machine, text):
    predicate = {
        "buildDefinition": {"externalParameters": {"tier": "httpd-php", "chain": text, "source": text}},
        "runDetails": {"metadata": {"finishedOn": text}, "byproducts": text, "builder": [text]},
    }
    records = machine("alice")
    add(records, KeyInMemory(), Statement(IMAGE.subjects(), PROVENANCE.predicate_type, predicate))
    add(records, KeyInMemory(), Statement(IMAGE.subjects(), TESTS.predicate_type, {"passedTests": text}))
    for output in (run("records", "list"), run("sign", "httpd-php", "--key", "none.key", code=8)):
        assert "\x1b" not in output


def test_records_travel_to_a_second_person_and_back(machine, first, bob, tmp_path):
    assert run("records", "export", "httpd-php", "records.tar") == f"3 records of image {CONFIG} are in records.tar\n"
    assert oct((tmp_path / "records.tar").stat().st_mode & 0o777) == "0o600"
    machine("bob")
    assert run("records", "import", "records.tar") == f"3 records of image {CONFIG}\n"
    sign("httpd-php", "--yes")
    run("records", "export", "httpd-php", "signed.tar")
    records = machine("alice")
    assert run("records", "import", "signed.tar") == f"6 records of image {CONFIG}\n"
    assert len(records.signed_payloads(CONFIG, bob)) == len(records.signed_payloads(CONFIG, first.public_key)) == 3


@pytest.mark.usefixtures("machine")
def test_errors_of_files_are_sentences():
    assert "there is no file none.tar" in run("records", "import", "none.tar", code=3)
    assert "File '.' is a directory" in run("records", "import", ".", code=2)
    Path("damaged.tar").write_bytes(b"no archive" * 100)
    assert "damaged.tar is damaged: it is not an archive of records" in run("records", "import", "damaged.tar", code=4)


@pytest.mark.usefixtures("machine")
def test_an_image_without_records_cannot_be_exported():
    assert "there are no signed records of image" in run("records", "export", CONFIG, "x.tar", code=3)
    assert not Path("x.tar").exists()


@pytest.mark.usefixtures("first")
def test_a_file_that_cannot_be_written_is_an_error():
    assert "cannot be written: No such file or directory" in run("records", "export", CONFIG, "none/x.tar", code=2)
