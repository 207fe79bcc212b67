from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.bases import base_image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Pull, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import SourceError, TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import platform


def tar_of(*entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry in entries:
            data = b"data" if entry.isreg() else b""
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def entry(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


GOOD = tar_of(entry("./etc", tarfile.DIRTYPE), entry("./etc/motd"), entry("bin", tarfile.SYMTYPE, "/usr/bin"))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress], ids=["tar", "gz", "bz2", "xz"])
def test_plain_and_compressed_archives_unpack_to_the_same(tmp_path, pack):
    (tmp_path / "in").write_bytes(pack(GOOD))
    base_image.unpack("base", tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == GOOD


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gz", "bz2", "xz"])
@given(cut=st.integers(0, 200), broken=st.binary(max_size=20))
def test_a_damaged_archive_is_reported(tmp_path_factory, pack, cut, broken):
    folder = tmp_path_factory.mktemp("damaged")
    whole = pack(GOOD)
    (folder / "in").write_bytes(whole[: 6 + cut % (len(whole) - 6)] + broken)
    try:
        base_image.unpack("base", folder / "in", folder / "out")
    except SourceError as error:
        message = str(error)
        assert f"tier 'base': tier_import.archive {folder}/in " in message


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(entry("../etc/passwd"), id="outside"),
        pytest.param(entry("a/../../b"), id="outside from a folder"),
        pytest.param(entry("/etc/passwd"), id="absolute"),
        pytest.param(entry("hard", tarfile.LNKTYPE, "../../etc/shadow"), id="hard link to outside"),
        pytest.param(entry("etc/.wh.passwd"), id="whiteout"),
        pytest.param(entry("etc/.wh..wh..opq"), id="opaque"),
    ],
)
def test_a_dangerous_entry_is_rejected(tmp_path, bad):
    (tmp_path / "in").write_bytes(tar_of(entry("ok"), bad))
    with pytest.raises(SourceError, match=r"tier 'base': tier_import\.archive"):
        base_image.unpack("base", tmp_path / "in", tmp_path / "out")


@given(st.binary(max_size=2000))
def test_arbitrary_bytes_cause_only_a_source_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("wild")
    (folder / "in").write_bytes(data)
    try:
        base_image.unpack("base", folder / "in", folder / "out")
    except SourceError as error:
        assert "tier 'base'" in str(error)  # noqa: PT017 - an empty archive is not an error


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_truncated_archive_is_rejected(tmp_path, pack):
    (tmp_path / "in").write_bytes(pack(GOOD)[:-20])
    with pytest.raises(SourceError, match="is not a tar archive"):
        base_image.unpack("base", tmp_path / "in", tmp_path / "out")


def test_an_archive_that_unpacks_to_too_much_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(base_image, "LARGEST", 1 << 20)
    (tmp_path / "in").write_bytes(gzip.compress(bytes(4 << 20)))
    with pytest.raises(SourceError, match=r"has more than .* uncompressed"):
        base_image.unpack("base", tmp_path / "in", tmp_path / "out")


def test_a_wrong_checksum_is_reported_with_the_expected_one(tmp_path):
    (tmp_path / "in").write_bytes(b"x")
    with pytest.raises(
        SourceError, match=r"tier 'base': tier_import.checksum does not match: .* has sha256:2d7.*, expected"
    ):
        base_image.check_checksum("base", tmp_path / "in", "sha256:" + "0" * 64)


def test_a_missing_archive_is_reported(tmp_path):
    with pytest.raises(SourceError, match=r"tier 'base': tier_import.archive .*nowhere cannot be read"):
        base_image.check_checksum("base", tmp_path / "nowhere", "sha256:" + "0" * 64)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        (b'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n', "debian"),
        (b"ID=mint\nID_LIKE='ubuntu debian'\n", "debian"),
        (b'ID="rocky"\nID_LIKE="rhel centos fedora"\n', "redhat"),
        (b"ID=alpine\n", "alpine"),
        (b"ID=plan9\n", None),
        (b"", None),
        (b"\xff\xfe=\n", None),
    ],
)
def test_the_family_of_the_distribution(text, family):
    assert platform._family(text) == family


def test_a_pulled_image_that_is_refused_makes_no_base(monkeypatch):
    digest = f"sha256:{'1' * 64}"
    reference = f"registry.example.org/vendor/debian@{digest}"
    tier = Tier(name="base", team="operations", image="base", tag="latest", source=Pull(reference))
    pulled, asked = SimpleNamespace(id=f"sha256:{'2' * 64}"), []
    engine = SimpleNamespace(images=SimpleNamespace(find=lambda name: pulled if name == reference else None))
    monkeypatch.setattr(base_image.platform, "check", lambda *_arguments: None)
    monkeypatch.setattr(base_image, "assemble", pytest.fail)

    def refuse(image, name):
        asked.append((image, name))
        raise TrustError("tier 'base' is not made from it")

    with pytest.raises(TrustError, match="tier 'base' is not made from it"):
        base_image.make(
            engine, tier=tier, declared={}, identity=lambda _family: {}, say=pytest.fail, check_pulled=refuse
        )
    assert asked == [(pulled, reference)]
