"""The certificate that the package ssl-cert generates is left out. A role's own certificate at its path is kept."""

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
def make_pair(tmp_path_factory):
    """Make a key and a certificate with openssl."""
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "template").write_text(TEMPLATE)

    def make(*options):
        command = ["openssl", "req", "-new", "-x509", "-nodes", "-sha256", "-out", "c", "-keyout", "k", *options]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return (folder / "k").read_bytes(), (folder / "c").read_bytes()

    return make


@pytest.fixture(scope="module")
def generated(make_pair):
    return make_pair("-config", "template", "-days", "3650")


def layer_paths(key, certificate, target=b"ssl-cert-snakeoil.pem", keep=()):
    """Return the paths in the layer. The cleaner must report all others."""
    link = FileEntry(HASH, FileKind.SYMLINK, 0o777, 0, 0, 1, target=target)
    files = [
        FileEntry(path, FileKind.FILE, 0o640, 0, 0, 1, len(content), content=content)
        for path, content in ((KEY, key), (CERTIFICATE, certificate))
        if content
    ]
    cleaner = Cleaner("debian", keep=keep)
    kept = {entry.path for entry in layer_entries([PathChange(file, None) for file in (*files, link)], cleaner)}
    assert kept | {path.entry.path for path in cleaner.left_out} == {file.path for file in (*files, link)}
    return kept


def test_a_generated_certificate_is_left_out_with_the_link_to_it(generated):
    assert layer_paths(*generated) == set()
    assert layer_paths(*generated, target=b"other.pem") == {HASH}
    assert layer_paths(*generated, keep=["etc/ssl"]) == {KEY, CERTIFICATE, HASH}


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
def test_a_certificate_of_the_role_is_kept(make_pair, options):
    assert layer_paths(*make_pair(*options)) == {KEY, CERTIFICATE, HASH}


def test_a_key_and_a_certificate_that_do_not_match_are_kept(make_pair, generated):
    key, certificate = generated
    other, _ = make_pair("-config", "template")
    for pair in ((other, certificate), (key, b""), (key, b"no certificate"), (key, certificate[:200] + b"\n-----END")):
        assert HASH in layer_paths(*pair)
