"""The certificate that ssl-cert makes up is left out; a role's own, at the same paths, is not."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.cleaner import Cleaner, layer_entries
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import (
    FileEntry,
    FileKind,
    PathChange,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.snakeoil import CERTIFICATE, KEY

#: As in ``/usr/share/ssl-cert/ssleay.cnf``.
TEMPLATE = """
[ req ]
default_bits = 2048
distinguished_name = req_distinguished_name
prompt = no
req_extensions = v3_req
x509_extensions = v3_req
[ req_distinguished_name ]
commonName = web
[ v3_req ]
basicConstraints = CA:FALSE
subjectAltName = DNS:web
"""
HASH = b"etc/ssl/certs/0123abcd.0"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Makes key and certificate with openssl."""
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "template").write_text(TEMPLATE)

    def make(*options):
        command = ["openssl", "req", "-new", "-x509", "-nodes", "-sha256", "-out", "c", "-keyout", "k", *options]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return (folder / "k").read_bytes(), (folder / "c").read_bytes()

    return make


@pytest.fixture(scope="module")
def made_up(made):
    return made("-config", "template", "-days", "3650")


def left(key, certificate, target=b"ssl-cert-snakeoil.pem", keep=()):
    """Paths that are in the layer, and what the cleaner tells."""
    link = FileEntry(HASH, FileKind.SYMLINK, 0o777, 0, 0, 1, target=target)
    files = [
        FileEntry(path, FileKind.FILE, 0o640, 0, 0, 1, len(content), content=content)
        for path, content in ((KEY, key), (CERTIFICATE, certificate))
        if content
    ]
    cleaner = Cleaner("debian", keep=keep)
    kept = {entry.path for entry in layer_entries([PathChange(each, None) for each in (*files, link)], cleaner)}
    assert kept | {each.entry.path for each in cleaner.left_out} == {each.path for each in (*files, link)}
    return kept


def test_what_ssl_cert_makes_up_goes_with_the_link_to_it(made_up):
    assert left(*made_up) == set()
    assert left(*made_up, target=b"other.pem") == {HASH}
    assert left(*made_up, keep=["etc/ssl"]) == {KEY, CERTIFICATE, HASH}


@pytest.mark.parametrize(
    "options",
    [
        ["-subj", "/CN=web"],
        ["-subj", "/CN=web", "-addext", "subjectAltName=DNS:web"],
        ["-subj", "/O=us/CN=web", "-config", "template"],
        ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=web"],
        ["-config", "template", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    ],
)
def test_a_role_s_own_certificate_stays(made, options):
    assert left(*made(*options)) == {KEY, CERTIFICATE, HASH}


def test_what_is_no_pair_stays(made, made_up):
    key, certificate = made_up
    other, _ = made("-config", "template")
    for pair in ((other, certificate), (key, b""), (key, b"no certificate"), (key, certificate[:200] + b"\n-----END")):
        assert HASH in left(*pair)
