"""Private keys: how they are written, and which are refused."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.encrypted_pem import encrypt_private_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.private_key import (
    KEY_TYPES,
    make_key_pair,
    read_key_file,
    read_private_key,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import (
    describe_key,
    read_public_key,
)

pytestmark = pytest.mark.once

PASSPHRASE = "correct horse: ünïcode"


def pem(key, passphrase=None):
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def refusal(content, passphrase=None):
    with pytest.raises(TrustError) as raised:
        read_private_key(content, passphrase, "the key")
    return str(raised.value)


@pytest.fixture(params=KEY_TYPES)
def kind(request):
    return request.param


def test_a_new_key_is_encrypted_and_private(tmp_path, kind):
    path = tmp_path / "keys/alice.key"
    public = make_key_pair(kind, path, PASSPHRASE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert describe_key(read_key_file(path, PASSPHRASE, "key").public_key(), "key") == public
    assert read_public_key((tmp_path / "keys/alice.pub").read_text(), "key") == public
    assert sorted(each.name for each in path.parent.iterdir()) == ["alice.key", "alice.pub"]


def test_openssl_reads_a_new_key_and_finds_the_iterations(tmp_path, kind):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    path = tmp_path / "alice.key"
    public = make_key_pair(kind, path, PASSPHRASE)
    command = [openssl, "pkey", "-in", str(path), "-passin", "stdin", "-pubout"]
    assert subprocess.run(command, input=PASSPHRASE.encode(), capture_output=True, check=True).stdout == (
        public.pem.encode()
    )
    parsed = subprocess.run([openssl, "asn1parse", "-in", str(path)], capture_output=True, text=True, check=True).stdout
    assert re.findall(r":(PBKDF2|hmacWithSHA256|aes-256-cbc|[0-9A-F]{6})\n", parsed) == [
        "PBKDF2",
        f"{600_000:06X}",
        "hmacWithSHA256",
        "aes-256-cbc",
    ]


@settings(max_examples=4)  # each takes three times as long as a trial of a passphrase
@given(st.binary(max_size=300), st.text(min_size=1, max_size=40))
@example(b"", "a")
@example(b"x" * 255, "a")
def test_the_encryption_has_a_fresh_salt_and_no_plain_byte(der, passphrase):
    passphrase = passphrase.encode(errors="replace").decode()
    first, second = (encrypt_private_key(der, passphrase) for _ in range(2))
    assert first != second
    # It is not a key, so only what is around it is checked: the reader decrypts it, and then finds no key.
    with pytest.raises(ValueError, match=r".") as raised:
        load_pem_private_key(first.encode(), passphrase.encode())
    assert "password" not in str(raised.value).lower()


@pytest.mark.parametrize("existing", ["alice.key", "alice.pub"])
def test_a_key_is_never_overwritten(tmp_path, existing):
    (tmp_path / existing).write_text("precious")
    with pytest.raises(TrustError, match=rf"{existing} exists, and keys are never overwritten"):
        make_key_pair("p256", tmp_path / "alice.key", PASSPHRASE)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {existing: "precious"}


def test_a_link_to_nowhere_is_not_followed(tmp_path):
    (tmp_path / "alice.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TrustError, match=r"alice.key exists"):
        make_key_pair("p256", tmp_path / "alice.key", PASSPHRASE)
    assert not (tmp_path / "elsewhere").exists()


def test_a_key_without_a_passphrase_is_not_written(tmp_path):
    with pytest.raises(TrustError, match=r"the passphrase for .*alice.key is empty"):
        make_key_pair("p256", tmp_path / "alice.key", "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(TrustError, match=r"the key .*keys/alice.key cannot be written"):
        make_key_pair("p256", tmp_path / "keys/alice.key", PASSPHRASE)


def test_an_unencrypted_key_is_accepted_if_nobody_else_has_rights(tmp_path):
    path, key = tmp_path / "alice.key", Ed25519PrivateKey.generate()
    path.write_bytes(pem(key))
    for mode in (0o600, 0o400):
        path.chmod(mode)
        assert pem(read_key_file(path, None, "key")) == pem(key)
        assert pem(read_key_file(path, "not needed", "key")) == pem(key)
    for mode in (0o640, 0o604, 0o620, 0o610):
        path.chmod(mode)
        with pytest.raises(TrustError, match=rf"alice.key is not encrypted, and other users .*mode {mode:04o}"):
            read_key_file(path, None, "key")


def test_an_encrypted_key_may_be_readable(tmp_path):
    path = tmp_path / "alice.key"
    make_key_pair("ed25519", path, PASSPHRASE)
    path.chmod(0o644)
    assert isinstance(read_key_file(path, PASSPHRASE, "key"), Ed25519PrivateKey)


def test_the_passphrase_is_asked_for_only_if_it_is_needed():
    key, asked = generate_private_key(SECP256R1()), []

    def ask(title):
        asked.append(title)
        return "secret"

    assert pem(read_private_key(pem(key), ask, "the key")) == pem(key)
    assert asked == []
    assert pem(read_private_key(pem(key, "secret"), ask, "the key")) == pem(key)
    assert asked == ["the key"]


def test_refusals_say_what_was_found():
    key = generate_private_key(SECP256R1())
    encrypted = pem(key, "secret")
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert refusal(encrypted).startswith("the key is encrypted, and no passphrase is given")
    assert refusal(encrypted, "").startswith("the key is encrypted, and no passphrase is given")
    assert refusal(encrypted, "wrong") == (
        "the key cannot be decrypted: the passphrase is wrong, or the key is damaged"
    )
    assert refusal(public).startswith("the key is a public key; expected a private key in PEM")
    assert refusal("nothing").startswith("the key is not a key; expected")
    assert refusal(pem(key)[:-60]).startswith("the key is a damaged private key; expected")
    assert refusal(pem(generate_private_key(SECP384R1()))).startswith("the key has the unsupported type secp384r1")
    assert refusal(pem(generate_rsa_key(65537, 2048))).startswith("the key has the unsupported type RSA; expected")
    assert refusal(pem(generate_private_key(SECP384R1()), "secret"), "secret").startswith(
        "the key has the unsupported type secp384r1"
    )
    mark = "ENCRYPTED SIGSTORE PRIVATE KEY-----"
    cosign = f"-----BEGIN {mark}\neyJrZGYiOnt9fQ==\n-----END {mark}\n"
    assert refusal(cosign).startswith("the key is a key in a format of cosign; expected")
    ssh = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    assert refusal(ssh).startswith("the key is a key of ssh; expected")


def test_files_that_are_no_keys_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * (1 << 17))
    for name, message in (
        ("nothing", "there is no file .*/nothing; `tierwright keys new` makes a key"),
        ("pipe", "pipe is not a file with a key"),
        ("large", "large is not a file with a key"),
        (".", "cannot be read: Is a directory"),
    ):
        with pytest.raises(TrustError, match=message):
            read_key_file(tmp_path / name, None, "key")


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda body: b"-----BEGIN PRIVATE KEY-----\n" + body))
def test_any_bytes_are_refused_with_a_sentence_that_has_no_byte_of_them(content):
    message = refusal(content)
    assert message.startswith("the key ")
    assert "\n" not in message
