# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The signature of a policy: ``chain-policy.yml.sigstore.json`` beside it, a Sigstore bundle for each signer.

The keys that verify it come from outside of the policy. Otherwise whoever changes the policy could name them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..errors import DamagedError, TrustError, describe_error
from ..local_files import write_durably
from ..signing.bundle import read_bundle, write_bundle
from ..signing.envelope import IN_TOTO, Envelope, Signer, sign_statement
from ..signing.public_key import PublicKey
from ..signing.statement import Statement, Subject, read_statement
from .evidence import POLICY
from .policy import LARGEST, Policy, read_policy
from .policy_files import SUFFIX
from .version_memory import VersionMemory

_LARGEST = 1 << 20
_MOST_LINES = 100
_READABLE = 0o644


def signature_path(path: Path) -> Path:
    """Return the path of the signature of a policy."""
    return path.with_name(path.name + SUFFIX)


def read_signed_policy(
    path: Path, roots: Sequence[PublicKey], *, memory: VersionMemory | None = None, now: datetime | None = None
) -> Policy:
    """Read a policy, and check that the owner of a root key signed exactly these bytes.

    Args:
        path: The policy.
        roots: The root keys. The signature of one of them is enough.
        memory: Remembers the version, and refuses an older one.
        now: The time; by default that of the clock.

    Raises:
        TrustError: The policy or its signature is missing, wrong or too old. The message says what to do.
    """
    if not roots:
        raise TrustError(
            f"{path} cannot be trusted without a root key; set tier_policy_keys (deploy_policy_keys of a "
            "site) or TIERWRIGHT_POLICY_KEYS, or use "
            "--policy-key, with the public key of the policy's owner"
        )
    content = _read(path, LARGEST, "the policy")
    _find_signers(path, content, roots)
    policy = read_policy(content, str(path))
    if (now or datetime.now(UTC)) >= policy.expires:
        raise TrustError(
            f"{path} expired on {policy.expires:%Y-%m-%d}; raise its version and expires, and sign it with "
            "`tierwright policy sign`"
        )
    if memory is not None:
        memory.check(policy, path)
    return policy


def read_unsigned_policy(path: Path) -> Policy:
    """Read a policy, and check only its content. Nothing may be decided with it.

    Raises:
        TrustError: It is missing or wrong.
    """
    return read_policy(_read(path, LARGEST, "the policy"), str(path))


def find_signers(path: Path, roots: Sequence[PublicKey]) -> list[PublicKey]:
    """Return those root keys that signed a policy.

    Args:
        path: The policy.
        roots: The root keys.

    Raises:
        TrustError: None of them did, or a file is missing.
    """
    return _find_signers(path, _read(path, LARGEST, "the policy"), roots)


def _find_signers(path: Path, content: bytes, roots: Sequence[PublicKey]) -> list[PublicKey]:
    file = signature_path(path)
    if not file.exists():
        raise TrustError(
            f"{path} is not signed: there is no {file.name} beside it; run `tierwright policy sign {path}`"
        )
    signers: list[PublicKey] = []
    others, damaged = False, ""
    for number, line in enumerate(_lines(file), 1):
        try:
            envelope, digest = _read_line(line, f"{file}, line {number}")
        except DamagedError as error:
            damaged = f"; {error}"
            continue
        found = envelope.signers(roots)
        if digest == _digest(content):
            signers += found
        others |= bool(found) and digest != _digest(content)
    if signers:
        return list(dict.fromkeys(signers))
    if others:
        raise TrustError(
            f"{path} was changed after it was signed; undo the change, or raise its version and run "
            f"`tierwright policy sign {path}`"
        )
    known = ", ".join(map(str, roots))
    raise TrustError(
        f"{file} has no signature of a root key (known are {known}){damaged}; let the owner of the policy sign it with "
        f"`tierwright policy sign {path}`, or correct the root keys"
    )


def sign_policy(path: Path, signer: Signer, roots: Sequence[PublicKey] = ()) -> int:
    """Sign a policy. Signatures of others for the same bytes stay; all that do not fit any more are removed.

    Args:
        path: The policy.
        signer: Signs with a root key.
        roots: The known root keys. If there are any, signatures of other keys are removed, too.

    Returns:
        The number of signatures that the policy has.

    Raises:
        TrustError: It is not a valid policy, it has expired, or it cannot be signed.
    """
    content = _read(path, LARGEST, "the policy")
    policy = read_policy(content, str(path))
    if datetime.now(UTC) >= policy.expires:
        raise TrustError(
            f"{path}: expires is {policy.expires:%Y-%m-%d}, which is past; set a later day and a new version"
        )
    file = signature_path(path)
    kept = list(_kept(file, content, signer.public_key, roots)) if file.exists() else []
    statement = Statement((Subject(path.name, _digest(content)),), POLICY, {"version": policy.version})
    lines = [*kept, write_bundle(sign_statement(statement, signer), signer.public_key)]
    try:
        write_durably(file, b"".join(line + b"\n" for line in lines))
        file.chmod(_READABLE)
    except OSError as error:
        raise TrustError(f"{file} cannot be written: {describe_error(error)}; the policy is not signed") from error
    return len(lines)


def _kept(file: Path, content: bytes, own: PublicKey, roots: Sequence[PublicKey]) -> Iterator[bytes]:
    for number, line in enumerate(_lines(file), 1):
        try:
            envelope, digest = _read_line(line, f"{file}, line {number}")
        except DamagedError:
            continue
        if digest == _digest(content) and not envelope.signers([own]) and (not roots or envelope.signers(roots)):
            yield line


def _read_line(line: bytes, title: str) -> tuple[Envelope, str]:
    """Return an envelope about a policy, and the digest in it."""
    envelope = read_bundle(line, title)
    if envelope.payload_type != IN_TOTO:
        raise DamagedError(f"{title} has the payload type {envelope.payload_type!r}; expected {IN_TOTO}")
    statement = read_statement(envelope.payload, title)
    if statement.predicate_type != POLICY or len(statement.subjects) != 1:
        raise DamagedError(
            f"{title} is a statement {statement.predicate_type} about {len(statement.subjects)} subjects; expected "
            f"{POLICY} about one"
        )
    return envelope, statement.subjects[0].digest


def _lines(file: Path) -> list[bytes]:
    lines = [line for line in _read(file, _LARGEST, "the signature of the policy").splitlines() if line.strip()]
    if len(lines) > _MOST_LINES:
        raise TrustError(f"{file} has {len(lines)} lines; expected at most {_MOST_LINES}, a bundle in each")
    return lines


def _read(path: Path, largest: int, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise TrustError(f"{what} {path} cannot be read: {error.strerror}; correct the path or its rights") from error
    if len(content) > largest:
        raise TrustError(f"{what} {path} is larger than {largest} bytes; it is not a policy of this chain")
    return content


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
