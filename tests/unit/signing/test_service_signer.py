"""Keys in PKCS#11 tokens and services: with a real token of SoftHSM, and with services that fail."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing import service_signer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import sign_statement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.private_key import make_key_pair
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import describe_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.signers import open_signer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import Statement, Subject

pytestmark = pytest.mark.once

STATEMENT = Statement((Subject("web", f"sha256:{'ab' * 32}"),), "https://slsa.dev/provenance/v1", {})
SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN, TOKEN = "canary-4711", "hsm:2?label=operations"


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """A token of SoftHSM with an ECDSA key. Returns its public key in PEM."""
    pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    if not SOFTHSM.exists():
        pytest.skip("softhsm2 is not installed; `make machine` installs it")
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        patch.setenv("PYKCS11LIB", str(SOFTHSM))
        command = ["softhsm2-util", "--init-token", "--free", "--label", "operations", "--so-pin", "1234", "--pin", PIN]
        subprocess.run(command, check=True, capture_output=True)
        parts = importlib.import_module("pkcs11.util.ec")
        session = pkcs11.lib(str(SOFTHSM)).get_token(token_label="operations").open(rw=True, user_pin=PIN)
        with session:
            curve = session.create_domain_parameters(
                pkcs11.KeyType.EC,
                {pkcs11.Attribute.EC_PARAMS: parts.encode_named_curve_parameters("secp256r1")},
                local=True,
            )
            public, _private = curve.generate_keypair(id=b"\2", label="signing", store=True)
            der = parts.encode_ec_public_key(public)
        serialization = importlib.import_module("cryptography.hazmat.primitives.serialization")
        yield describe_key(serialization.load_der_public_key(der), "the token").pem


def test_a_token_signs(token, tmp_path):
    (tmp_path / "ops.pub").write_text(token)
    asked = []

    def ask(title):
        asked.append(title)
        return PIN

    for passphrase in (PIN, ask):
        signer = open_signer(TOKEN, passphrase, folder=tmp_path, public_key="ops.pub")
        for _ in range(2):
            assert sign_statement(STATEMENT, signer).signers([signer.public_key]) == [signer.public_key]
    assert asked == [f"tier_signing_key: {TOKEN}"]  # once for two signatures
    assert repr(signer) == f"<ServiceSigner {signer.public_key}>"


def refusal(reference, passphrase, public_key, folder):
    with pytest.raises(TrustError) as raised:
        sign_statement(STATEMENT, open_signer(reference, passphrase, folder=folder, public_key=public_key))
    assert PIN not in str(raised.value)
    return str(raised.value)


def test_a_token_that_cannot_sign_says_why(token, tmp_path, monkeypatch):
    other = make_key_pair("p256", tmp_path / "other.key", "secret").pem
    assert refusal(TOKEN, "9999", token, tmp_path) == (
        f"tier_signing_key: {TOKEN} cannot sign: the answer is PinIncorrect"
    )
    assert refusal(TOKEN, None, token, tmp_path).startswith(f"tier_signing_key: {TOKEN} needs a PIN; set")
    assert "could not find ECDSA private key" in refusal("hsm:7?label=operations", PIN, token, tmp_path)
    assert "No PKCS#11 token found for label nobody" in refusal("hsm:2?label=nobody", PIN, token, tmp_path)
    assert "signed with a different key than" in refusal(TOKEN, PIN, other, tmp_path)
    assert "invalid literal for int" in refusal("hsm:two", PIN, token, tmp_path)
    monkeypatch.delenv("PYKCS11LIB")
    assert "PYKCS11LIB environment variable must be set" in refusal(TOKEN, PIN, token, tmp_path)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    public = make_key_pair("p256", tmp_path / "a.key", "secret").pem
    if importlib.util.find_spec("securesystemslib") and not importlib.util.find_spec("boto3"):
        assert refusal("awskms:alias/ops", None, public, tmp_path).endswith("; pip install 'securesystemslib[awskms]'")
    monkeypatch.setitem(sys.modules, "securesystemslib.signer", None)
    assert refusal("hv:ops/1", None, public, tmp_path) == (
        "tier_signing_key: hv:ops/1 cannot sign: securesystemslib is not installed; pip install "
        "'securesystemslib[vault]'"
    )


class Service:
    """A library in place of securesystemslib, with a service that signs, or fails, as a test says."""

    def __init__(self, sign):
        self.Signer = self.SSlibKey = self
        self.sign = sign

    def from_crypto(self, key):
        return key

    def from_priv_key_uri(self, uri, key, ask):  # noqa: ARG002
        self.ask = ask
        return self


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("zz", "cannot sign: non-hexadecimal number found"),
        (None, "cannot sign: it does not have the expected form"),
        ("00" * 64, "signed with a different key than"),
        (RuntimeError(f"503 for {PIN}"), "cannot sign: 503 for ***"),
    ],
)
def test_a_service_that_answers_nonsense_is_refused(tmp_path, monkeypatch, signature, message):
    def sign(_payload):
        if isinstance(signature, Exception):
            raise signature
        return type("Signature", (), {"signature": signature})

    service = Service(sign)
    monkeypatch.setattr(service_signer.importlib, "import_module", lambda _name: service)
    public = describe_key(Ed25519PrivateKey.generate().public_key(), "a key").pem
    assert message in refusal("hv:ops/1", PIN, public, tmp_path)
