"""An archive of records is opened as if it came from an enemy: it is imported as a whole, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody import record_archive
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_archive import (
    export_records,
    import_records,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.statements import (
    provenance_statement,
    signature_statement,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import write_bundle
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import sign, sign_statement
from made_records import CONFIG, FACTS, IMAGE, MANIFEST, KeyInMemory, made_bundle

pytestmark = pytest.mark.once

KEY = KeyInMemory()
PROVENANCE, SIGNATURE = (
    write_bundle(sign_statement(statement, KEY), KEY.public_key)
    for statement in (provenance_statement(IMAGE, FACTS), signature_statement(MANIFEST))
)
FOLDER = CONFIG.removeprefix("sha256:")


def digits(content):
    return hashlib.sha256(content).hexdigest()


def member(name, content=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def bundle(content, folder=FOLDER):
    return member(f"{folder}/{digits(content)}.json", content)


def archive(*members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def load(tmp_path, monkeypatch):
    """A function that imports an archive into an empty store."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def import_(content):
        (tmp_path / "records.tar").write_bytes(content)
        return import_records(LocalRecords(), tmp_path / "records.tar")

    return import_


VALID = archive(bundle(PROVENANCE), bundle(SIGNATURE))


def test_records_come_back(load, tmp_path):
    assert load(VALID) == {CONFIG: 2}
    assert {content for _title, content in LocalRecords().of_config(CONFIG)} == {PROVENANCE, SIGNATURE}
    for name in ("one.tar", "two.tar"):
        assert export_records(LocalRecords(), CONFIG, tmp_path / name) == 2
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    assert load((tmp_path / "one.tar").read_bytes()) == {CONFIG: 2}


OTHER = made_bundle(KEY, f"sha256:{'0' * 64}")
NO_STATEMENT = write_bundle(sign(b"{}", "application/vnd.in-toto+json", KEY), KEY.public_key)
NO_IN_TOTO = write_bundle(sign(b"{}", "text/plain", KEY), KEY.public_key)
NAME = f"{FOLDER}/{digits(PROVENANCE)}.json"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([], "has no records"),
        ([bundle(PROVENANCE), member("../../.bashrc", b"x")], "is not a file named after an image and a bundle"),
        ([member(f"/{NAME}", PROVENANCE)], "is not a file named after"),
        ([member(f"{NAME}\n", PROVENANCE)], "is not a file named after"),
        ([member(NAME, type=tarfile.SYMTYPE, linkname="/etc/passwd")], "is not a file named after"),
        ([member(NAME, type=tarfile.LNKTYPE, linkname="/etc/passwd")], "is not a file named after"),
        ([member(NAME, type=tarfile.FIFOTYPE)], "is not a file named after"),
        ([member(NAME, type=tarfile.DIRTYPE)], "is not a file named after"),
        ([member(f"{FOLDER}/facts.json", b"{}")], "is not a file named after"),
        ([member(NAME, PROVENANCE[:-1])], "does not have the digest in its name"),
        ([bundle(b"{}")], "is not a Sigstore bundle"),
        ([bundle(NO_STATEMENT)], "is not an in-toto statement"),
        ([bundle(NO_IN_TOTO)], "contains 'text/plain'; expected"),
        ([bundle(PROVENANCE, "0" * 64)], "is not about image sha256:0000"),
        ([bundle(SIGNATURE)], f"is not about image {CONFIG}"),
        ([bundle(PROVENANCE), bundle(OTHER)], f"is not about image {CONFIG}"),
    ],
)
def test_nothing_is_imported_from_a_hostile_archive(load, members, reason):
    with pytest.raises(DamagedError, match=reason):
        load(archive(*members))
    assert LocalRecords().configs() == []


def test_limits_hold(load, monkeypatch):
    for name in ("MOST_BUNDLES", "LARGEST", "LARGEST_ARCHIVE"):
        with monkeypatch.context() as context:
            context.setattr(record_archive, name, 1)
            with pytest.raises(DamagedError, match=r"larger than|more than"):
                load(VALID)
    assert LocalRecords().configs() == []


def test_headers_that_refer_to_each_other_end(load):
    names = [member("././@LongLink", b"x\0", type=tarfile.GNUTYPE_LONGNAME) for _number in range(3000)]
    with pytest.raises(DamagedError, match=r"is not an archive of records|is not a file named after"):
        load(archive(*names, bundle(PROVENANCE)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(VALID) - 1), st.binary(max_size=40), st.booleans())
def test_a_damaged_archive_is_never_more_than_an_error(load, place, content, cut):
    damaged = VALID[:place] + content + (b"" if cut else VALID[place + len(content) :])
    with contextlib.suppress(DamagedError):
        load(damaged)
    assert {content for _title, content in LocalRecords().of_config(CONFIG)} <= {PROVENANCE, SIGNATURE}
