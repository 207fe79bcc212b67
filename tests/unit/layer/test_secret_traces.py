"""A layer that contains a secret of its build is rejected, wherever the secret is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import SealError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer import secret_traces
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.build_memory import Timeline
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import FileEntry, FileKind

SECRETS = {"token": "s3cr3t-t0k3n\n", "key": "-----BEGIN KEY-----\nAAAABBBBCCCCDDDDEEEEFFFF\n-----END KEY-----\n"}


def entry(path=b"etc/app.conf", kind=FileKind.FILE, content=b"", **more):
    return FileEntry(path, kind, 0o644, 0, 0, 0, size=len(content), content=content, **more)


def check(*entries, secrets=SECRETS):
    secret_traces.check(entries, secrets, Timeline())


def test_a_layer_without_secrets_is_accepted():
    check(entry(content=b"s3cr3t t0k3n"), entry(b"a", FileKind.DIRECTORY), entry(b"b", FileKind.SYMLINK, target=b"/c"))


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (entry(content=b"url=https://u:s3cr3t-t0k3n@host/"), "token"),
        (entry(content=b"copied: AAAABBBBCCCCDDDDEEEEFFFF"), "key"),
        (entry(kind=FileKind.SYMLINK, target=b"/x/s3cr3t-t0k3n"), "token"),
        (entry(kind=FileKind.DIRECTORY, attributes=((b"user.a", b"s3cr3t-t0k3n"),)), "token"),
    ],
)
def test_the_entry_and_the_name_of_the_secret_are_reported(found, name):
    with pytest.raises(SealError, match=rf"^/etc/app\.conf contains tier_secrets\.{name}: everybody") as failure:
        check(entry(b"first", content=b"harmless"), found)
    assert not any(text.strip() in str(failure.value) for text in SECRETS.values())


def test_a_path_with_a_secret_is_not_shown():
    with pytest.raises(SealError, match=r"^an entry contains tier_secrets\.token"):
        check(entry(b"var/s3cr3t-t0k3n"))


def test_without_secrets_nothing_is_read():
    check(entry(content=b"x", kind=None), secrets={})


@given(before=st.integers(0, 40), after=st.integers(0, 40), chunk=st.integers(1, 30), secret=st.text("abc", min_size=6))
def test_a_secret_is_found_at_every_place_and_with_every_size_of_a_piece(before, after, chunk, secret):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secret_traces, "_CHUNK", chunk)
        with pytest.raises(SealError):
            check(entry(content=b"." * before + secret.encode() + b"." * after), secrets={"x": secret})
        check(entry(content=b"." * before + secret[:-1].encode() + b"." * after), secrets={"x": secret})
