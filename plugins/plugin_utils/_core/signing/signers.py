# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opens signers: private keys in files, in the environment and in variables, in PKCS#11 tokens, and in services.

Tokens and services sign through the signers of the package securesystemslib. It is imported only for them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from ..errors import TrustError, describe_error
from ..local_files import own_reads
from .envelope import Signer
from .private_key import Passphrase, SupportedPrivateKey, read_key_file, read_private_key
from .public_key import PublicKey, describe_key, read_public_key
from .service_signer import SERVICES, ServiceSigner

_ENVIRONMENT = "env"
_SCHEME = re.compile(r"([a-z][a-z0-9+-]+):")
_BEGIN = "-----BEGIN "
#: Such a text may be a key that lost its first line. Messages do not quote it.
_MAYBE_SECRET = re.compile(r"[A-Za-z0-9+/=\\]{40,}|.*[\r\n\0].*|.{256,}", re.DOTALL)
_EXPECTED = f"expected a file, env:NAME, a key in PEM, or {', '.join(f'{scheme}:…' for scheme in SERVICES)}"


class KeySigner:
    """Signs with a private key in the memory of this process."""

    __slots__ = ("_private", "_public")

    def __init__(self, private: SupportedPrivateKey, title: str) -> None:
        """Take the key, and what it is, for messages."""
        self._private, self._public = private, describe_key(private.public_key(), title)

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies its signatures."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        if isinstance(self._private, Ed25519PrivateKey):
            return self._private.sign(message)
        return self._private.sign(message, ECDSA(SHA256()))

    def __repr__(self) -> str:
        return f"<KeySigner {self._public}>"


def open_signer(
    reference: str,
    passphrase: Passphrase = None,
    *,
    folder: Path,
    public_key: str | None = None,
    title: str = "tier_signing_key",
) -> Signer:
    """Open a signer. From now on, this process leaves no core file.

    Args:
        reference: A file; ``env:NAME``, an environment variable with a key in PEM; a key in PEM; ``hsm:…`` for a
            PKCS#11 token; ``awskms:…``, ``azurekms:…``, ``gcpkms:…`` or ``hv:…`` for a service.
        passphrase: The passphrase of the key, or the PIN of the token; see :data:`.Passphrase`.
        folder: Relative paths begin there.
        public_key: A file with the public key, or its PEM text. Tokens and services need it. Others are compared.
        title: What has the reference as its value, for messages.

    Raises:
        TrustError: There is no such key, or it cannot be opened. The message contains no secret.
    """
    expected = None if public_key is None else _read_expected(public_key, folder, f"the public key of {title}")
    scheme = match[1] if (match := _SCHEME.match(reference)) and _BEGIN not in reference else None
    if scheme in SERVICES:
        if expected is None:
            raise TrustError(
                f"{title} is {_quote(reference)}, and its public key is not given; set tier_signing_public_key to a "
                "file with it, so that nobody can replace the key of the token or service unnoticed"
            )
        return ServiceSigner(reference, scheme, expected, passphrase, title)
    signer = KeySigner(_read_private(reference, scheme, passphrase, folder, title), title)
    if expected not in (None, signer.public_key):
        raise TrustError(
            f"{title} has the key {signer.public_key}, but the public key beside it is {expected}; they are no pair, "
            "so correct one of them"
        )
    return signer


def _read_private(
    reference: str, scheme: str | None, passphrase: Passphrase, folder: Path, title: str
) -> SupportedPrivateKey:
    if _BEGIN in reference:
        return read_private_key(reference, passphrase, title)
    if scheme == _ENVIRONMENT:
        name = reference.partition(":")[2]
        content = os.environ.get(name)
        if content is None:
            raise TrustError(f"{title} is {_quote(reference)}, but that variable is not set")
        return read_private_key(content, passphrase, f"{title}: the environment variable {name}")
    path = _locate(reference, folder)
    if not reference or (not _exists(path) and (scheme is not None or _MAYBE_SECRET.fullmatch(reference))):
        raise TrustError(f"{title} is {_quote(reference)}; {_EXPECTED}")
    return read_key_file(path, passphrase, title)


def _locate(name: str, folder: Path) -> Path:
    try:
        return folder / Path(name).expanduser()
    except RuntimeError:  # there is no such user
        return folder / name


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a null character
        return False


def _read_expected(public_key: str, folder: Path, title: str) -> PublicKey:
    if _BEGIN in public_key:
        return read_public_key(public_key, title)
    path = _locate(public_key, folder)
    try:
        with own_reads():
            content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise TrustError(f"{title} cannot be read from {path}: {describe_error(error)}") from None
    return read_public_key(content, f"{title}, {path},")


def _quote(reference: str) -> str:
    return f"a text of {len(reference)} characters" if _MAYBE_SECRET.fullmatch(reference) else repr(reference)
