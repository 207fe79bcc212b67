# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Signs with a PKCS#11 token or a key service, through the signers of the package securesystemslib.

The private key never leaves the token or service. Nobody asks the service for its public key: the user names it, so
that a service that was taken over cannot introduce a key of its own.
"""

from __future__ import annotations

import importlib
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ..errors import TrustError, describe_error
from .core_files import forbid_core_files
from .private_key import Passphrase
from .public_key import PublicKey

#: By scheme of the reference, the extra of securesystemslib that brings its client.
SERVICES = {"hsm": "hsm", "awskms": "awskms", "azurekms": "azurekms", "gcpkms": "gcpkms", "hv": "vault"}

_MODULE = "securesystemslib.signer"


class ServiceSigner:
    """Signs with one key of a token or service."""

    def __init__(self, reference: str, scheme: str, public_key: PublicKey, passphrase: Passphrase, title: str) -> None:
        """Open the signer.

        Args:
            reference: The URI of the key, as securesystemslib defines it.
            scheme: The part of it before the first colon, one of :data:`SERVICES`.
            public_key: The key that verifies its signatures.
            passphrase: The PIN of a token; see :data:`.Passphrase`.
            title: What has the reference as its value, for messages.

        Raises:
            TrustError: A package is missing, or the reference is wrong.
        """
        forbid_core_files()
        self._name, self._scheme, self._title = reference, scheme, title
        self._public_key, self._passphrase = public_key, passphrase
        try:
            library = importlib.import_module(_MODULE)
        except ImportError:
            raise TrustError(self._missing("securesystemslib is not installed")) from None
        try:
            key = library.SSlibKey.from_crypto(load_pem_public_key(public_key.pem.encode()))
            self._signer: Any = library.Signer.from_priv_key_uri(reference, key, self._read_pin)
        except Exception as error:  # noqa: BLE001 - each service has errors of its own
            raise TrustError(self._explain(error)) from None

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies its signatures."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message.

        Raises:
            TrustError: The token or service cannot sign, or signed with a different key.
        """
        try:
            signature = bytes.fromhex(self._signer.sign(message).signature)
        except TrustError:
            raise
        except Exception as error:  # noqa: BLE001 - each service has errors of its own
            raise TrustError(self._explain(error)) from None
        if not self._public_key.verifies(signature, message):
            raise TrustError(
                f"{self._title}: {self._name} signed with a different key than {self._public_key}, its public key in "
                "the settings; correct tier_signing_public_key, or find out who changed the key"
            )
        return signature

    def __repr__(self) -> str:
        return f"<ServiceSigner {self._public_key}>"

    def _read_pin(self, _what: str) -> str:
        """Return the PIN. securesystemslib asks for it at each signature; the user is asked once."""
        if callable(self._passphrase):
            self._passphrase = self._passphrase(f"{self._title}: {self._name}")
        if not self._passphrase:
            raise TrustError(f"{self._title}: {self._name} needs a PIN; set tier_signing_passphrase, from a vault")
        return self._passphrase

    def _explain(self, error: Exception) -> str:
        """Return a message for an error of the package or of a service. It has no PIN."""
        reason = describe_error(error)
        if type(error).__name__ == "UnsupportedLibraryError":
            return self._missing(reason)
        if reason == type(error).__name__:  # those of PKCS#11 have only a name: PinIncorrect
            reason = f"the answer is {reason}"
        pin = self._passphrase if isinstance(self._passphrase, str) else ""
        return f"{self._title}: {self._name} cannot sign: {reason.replace(pin, '***') if pin else reason}"

    def _missing(self, reason: str) -> str:
        extra = SERVICES[self._scheme]
        return f"{self._title}: {self._name} cannot sign: {reason}; pip install 'securesystemslib[{extra}]'"
