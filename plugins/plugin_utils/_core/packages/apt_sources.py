# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parses the sources of an image's apt (``sources.list(5)``, both formats), and checks signatures of archives.

This machine's gpgv checks whether an archive's ``InRelease`` is signed with a key that the image trusts.
"""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from ..deb822 import paragraphs
from ..layer_index.merged_files import AptFiles


class NotReadError(Exception):
    """An archive does not answer, or its answer cannot be used. The verbs report this; they do not fail."""


_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>(?:\s+\S+)*)")
_YES = frozenset({"yes", "true", "with", "on", "enable", "1"})


class Source(msgspec.Struct, frozen=True):
    """One suite of one archive."""

    #: Without a slash at the end.
    uri: str
    #: For a flat archive, a path that ends with a slash.
    suite: str
    #: Empty for a flat archive.
    components: tuple[str, ...] = ()
    #: Only these architectures are fetched; empty means those of the image.
    architectures: tuple[str, ...] = ()
    #: Paths of keyrings, fingerprints, or a key itself; empty for all keys that the image's apt trusts.
    signed_by: str = ""
    #: Whether apt accepts it without a signature.
    trusted: bool = False
    #: Whether apt accepts it after its ``Valid-Until``.
    may_be_expired: bool = False


def one_line(text: str) -> Iterator[Source]:
    """Parse the content of a ``*.list`` file. Lines that are not sources of binary packages are ignored."""
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if match is None:
            continue
        options = dict(option.partition("=")[::2] for option in (match["options"] or "").split())
        yield _source(match["uri"], match["suite"], match["components"], {key.lower(): options[key] for key in options})


def deb822(text: str) -> Iterator[Source]:
    """Parse the content of a ``*.sources`` file.

    Stanzas that are disabled, or are not sources of binary packages, are ignored.
    """
    for fields in paragraphs(text):
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() in _YES:
            for uri in fields.get("uris", "").split():
                for suite in fields.get("suites", "").split():
                    yield _source(uri, suite, fields.get("components", ""), fields)


def _source(uri: str, suite: str, components: str, options: Mapping[str, str]) -> Source:
    architectures = options.get("architectures", options.get("arch", ""))
    return Source(
        uri=uri.rstrip("/"),
        suite=suite,
        components=tuple(components.split()),
        architectures=tuple(re.split(r"[\s,]+", architectures.strip())) if architectures.strip() else (),
        signed_by=options.get("signed-by", "").strip(),
        trusted=options.get("trusted", "").lower() in _YES,
        may_be_expired=options.get("check-valid-until", "yes").lower() not in _YES,
    )


_BEGIN, _END = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"
_CLEARTEXT = re.compile(
    rb"-----BEGIN PGP SIGNED MESSAGE-----\n(?:[^\n]+\n)*\n(.*)\n-----BEGIN PGP SIGNATURE-----\n", re.DOTALL
)
_TRUSTED = r"etc/apt/trusted\.gpg(\.d/.*)?"

#: The signature was checked, and is valid.
CHECKED = "checked"


def keyrings(source: Source, apt_files: AptFiles) -> list[bytes] | None:
    """Find the keyrings of a source. One of their keys must have signed it.

    Returns:
        Contents of keyrings; ``None`` if the image names a key by its fingerprint, which is not supported.
    """
    if "BEGIN PGP" in source.signed_by:
        # "." stands for an empty line in a field.
        return [re.sub(r"^\.$", "", source.signed_by, flags=re.MULTILINE).strip().encode() + b"\n"]
    names = re.split(r"[\s,]+", source.signed_by) if source.signed_by else apt_files.named(_TRUSTED)
    if any("/" not in name for name in names):  # a fingerprint
        return None
    return [content for name in names if (content := apt_files.read(name)) is not None]


def check(message: bytes, keys: list[bytes] | None) -> tuple[bytes, str]:
    """Check a clear-signed message.

    Args:
        message: The message with its signatures.
        keys: Contents of keyrings, binary or armoured; ``None`` if they are not known.

    Returns:
        The signed text; and :data:`CHECKED`, or the reason why the signature could not be checked.

    Raises:
        NotReadError: It is not a clear-signed message, or no key has a valid signature for it.
    """
    if keys is None:
        return _unchecked(message), "not checked: the image names its key by a fingerprint"
    if not keys:
        return _unchecked(message), "not checked: the image has no keyring for it"
    if shutil.which("gpgv") is None:
        return _unchecked(message), "not checked: this machine has no gpgv"
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        signed, plain = Path(folder, "signed"), Path(folder, "plain")
        signed.write_bytes(message)
        command = ["gpgv", "--status-fd", "1", "--output", str(plain)]
        for number, content in enumerate(keys):
            keyring = Path(folder, f"{number}.gpg")
            keyring.write_bytes(_binary(content))
            command += ["--keyring", str(keyring)]
        process = subprocess.run([*command, str(signed)], capture_output=True, check=False)
        # The exit status is not 0 if a message has several signatures and the image lacks one of the keys.
        keywords = {line.split()[1] for line in process.stdout.splitlines() if line.startswith(b"[GNUPG:] ")}
        if b"GOODSIG" not in keywords or b"BADSIG" in keywords or not plain.is_file():
            raise NotReadError("it is not signed with a key that the image trusts")
        return plain.read_bytes(), CHECKED


def _unchecked(message: bytes) -> bytes:
    match = _CLEARTEXT.search(message.replace(b"\r\n", b"\n"))
    if match is None:
        raise NotReadError("its InRelease is not a signed message")
    return re.sub(rb"^- ", b"", match[1], flags=re.MULTILINE)


def _binary(key: bytes) -> bytes:
    """Convert an armoured keyring to a binary one (RFC 9580, section 6.2): gpgv reads only those."""
    if _BEGIN not in key:
        return key
    binary = bytearray()
    for block in key.replace(b"\r", b"").split(_BEGIN)[1:]:
        _headers, _, body = block.partition(_END)[0].partition(b"\n\n")
        with suppress(binascii.Error):  # a damaged key is skipped: it cannot verify a signature
            binary += base64.b64decode(body.partition(b"\n=")[0])
    return bytes(binary)
