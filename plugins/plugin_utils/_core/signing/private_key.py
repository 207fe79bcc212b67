# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Private keys of teams: made, written encrypted, and read from PEM."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ..errors import TrustError, describe_error
from ..local_files import create_durably, own_reads
from .core_files import forbid_core_files
from .encrypted_pem import encrypt_private_key
from .public_key import PublicKey, describe_key

SupportedPrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey

#: Types of keys that can be made, and how. cosign makes the first one, so it is the default.
KEY_TYPES: dict[str, Callable[[], SupportedPrivateKey]] = {
    "p256": lambda: generate_private_key(SECP256R1()),
    "ed25519": Ed25519PrivateKey.generate,
}

#: A passphrase, or what asks for it: a function that is called once, with the title of the key, if one is needed.
Passphrase = str | Callable[[str], str] | None

_LARGEST = 1 << 16
#: Permissions of other users on a file.
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_EXPECTED = "expected a private key in PEM, Ed25519 or ECDSA on P-256, as `tierwright keys new` writes it"


def make_key_pair(kind: str, path: Path, passphrase: str) -> PublicKey:
    """Make a private key, and write it encrypted. The public key goes into ``.pub`` beside it.

    Args:
        kind: Its type, one of :data:`KEY_TYPES`.
        path: The file for the private key, with the suffix ``.key``. Only the user may read it. Its folder is made.
        passphrase: Encrypts the file.

    Returns:
        The public key.

    Raises:
        TrustError: The passphrase is empty, or one of the files exists or cannot be written.
    """
    if not passphrase:
        raise TrustError(f"the passphrase for {path} is empty; private keys are only written encrypted, so choose one")
    check_free(path)
    forbid_core_files()
    private = KEY_TYPES[kind]()
    public = describe_key(private.public_key(), str(path))
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_durably(path, encrypt_private_key(der, passphrase))
        create_durably(path.with_suffix(".pub"), public.pem, mode=0o644)
    except OSError as error:
        raise TrustError(f"the key {path} cannot be written: {describe_error(error)}") from None
    return public


def check_free(path: Path) -> None:
    """Make sure that neither a private key nor its public key exists.

    Raises:
        TrustError: One of them exists.
    """
    for existing in (path, path.with_suffix(".pub")):
        if existing.exists() or existing.is_symlink():
            raise TrustError(f"{existing} exists, and keys are never overwritten; choose another name, or remove it")


def read_key_file(path: Path, passphrase: Passphrase, title: str) -> SupportedPrivateKey:
    """Read a private key from a file.

    Args:
        path: The file.
        passphrase: Its passphrase; see :data:`Passphrase`.
        title: What names the file, for messages: ``tier_signing_key of tier 'web'``.

    Raises:
        TrustError: The file is missing, is not a private key, or others may read it although it is not encrypted. Or
            the passphrase is missing or wrong.
    """
    try:
        # A named pipe would wait for a writer.
        with own_reads(), open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            status, content = os.fstat(file.fileno()), file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise TrustError(f"{title}: there is no file {path}; `tierwright keys new` makes a key") from None
    except (OSError, ValueError) as error:
        raise TrustError(f"{title}: the key {path} cannot be read: {describe_error(error)}") from None
    if not stat.S_ISREG(status.st_mode) or len(content) > _LARGEST:
        raise TrustError(f"{title}: {path} is not a file with a key; {_EXPECTED}")
    key, encrypted = _read(content, passphrase, f"{title}: {path}")
    if not encrypted and status.st_mode & _OTHERS:
        raise TrustError(
            f"{title}: the private key {path} is not encrypted, and other users have rights on it (mode "
            f"{stat.S_IMODE(status.st_mode):04o}); expected 0600, or an encrypted key. Others may have copied it, so "
            "make a new one: tierwright keys new"
        )
    return key


def read_private_key(content: str | bytes, passphrase: Passphrase, title: str) -> SupportedPrivateKey:
    """Read a private key from its PEM text.

    Args:
        content: The text.
        passphrase: Its passphrase; see :data:`Passphrase`.
        title: What it is, for messages.

    Raises:
        TrustError: It is not a private key of a supported type, or the passphrase is missing or wrong.
    """
    return _read(content.encode(errors="replace") if isinstance(content, str) else content, passphrase, title)[0]


def _read(content: bytes, passphrase: Passphrase, title: str) -> tuple[SupportedPrivateKey, bool]:
    """Return the key, and whether it was encrypted."""
    forbid_core_files()
    # The messages of the package describe the content, so they are not quoted.
    try:
        return _check(load_pem_private_key(content, None), title), False
    except TypeError:
        pass  # it is encrypted
    except (ValueError, UnsupportedAlgorithm):
        raise TrustError(f"{title} is {_guess(content)}; {_EXPECTED}") from None
    given = passphrase(title) if callable(passphrase) else passphrase
    if not given:
        raise TrustError(f"{title} is encrypted, and no passphrase is given; set tier_signing_passphrase, from a vault")
    try:
        return _check(load_pem_private_key(content, given.encode(errors="surrogateescape")), title), True
    except (ValueError, UnsupportedAlgorithm):
        raise TrustError(f"{title} cannot be decrypted: the passphrase is wrong, or the key is damaged") from None


def _check(key: object, title: str) -> SupportedPrivateKey:
    if isinstance(key, SupportedPrivateKey) and (
        isinstance(key, Ed25519PrivateKey) or isinstance(key.curve, SECP256R1)
    ):
        return key
    kind = key.curve.name if isinstance(key, EllipticCurvePrivateKey) else type(key).__name__.removesuffix("PrivateKey")
    raise TrustError(f"{title} has the unsupported type {kind.lstrip('_')}; {_EXPECTED}")


def _guess(content: bytes) -> str:
    for mark, found in (
        (b"PUBLIC KEY-----", "a public key"),
        (b"ENCRYPTED COSIGN PRIVATE KEY", "a key in a format of cosign"),
        (b"ENCRYPTED SIGSTORE PRIVATE KEY", "a key in a format of cosign"),
        (b"OPENSSH PRIVATE KEY", "a key of ssh"),
        (b"PRIVATE KEY-----", "a damaged private key"),
    ):
        if mark in content:
            return found
    return "not a key"
